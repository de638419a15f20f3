"""`csv:PATH`, `parquet:PATH` and `jsonl:PATH`: a table with a label in each row, and a text, or a path
of a picture or a clip."""

import json
import math
from collections import Counter
from collections.abc import Container, Sized
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from bench.catalogue import LATER
from bench.datasets import labelled, texts
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Names
from bench.datasets.files import DataError, listed, shown
from bench.datasets.kinds import most_of
from bench.datasets.labelled import Labelled, PictureOptions
from bench.datasets.pictures import Packed
from bench.memory import available_memory
from bench.modalities import MODALITIES

if TYPE_CHECKING:
    import pandas as pd

SPLITS = {"train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
          "test": "test", "testing": "test", "shift": "shift"}
PER_BYTE = 20  # bytes of memory for a byte of a table, at most: short fields become objects
PER_ROW = 4_000  # bytes of memory for a row, while the revision is made of all paths and digests
BLOCK = 1 << 16  # bytes that are read at once while rows are counted
TEXT, PATH = "text", "path"  # usual names of columns
JSON_LINES = (".jsonl", ".ndjson", ".json")
UTF_16 = b"\xff\xfe", b"\xfe\xff"


class TableOptions(PictureOptions):
    path: str
    """The table; `csv:PATH` or `parquet:PATH` as the dataset's name is the same. Files are found relative to it."""
    image: str = PATH
    """The column of pictures, or of clips."""
    text: Annotated[str | None, Field(json_schema_extra=LATER)] = None
    """The column of texts, instead of pictures; unset, `text` where there is no column of pictures."""
    second: Annotated[str | None, Field(json_schema_extra=LATER)] = None
    """The column of second texts, where a text is a pair: a premise and a hypothesis, say."""
    label: str = "label"
    """The column of labels, text or numbers."""
    split: str = "split"
    """The column that says `train`, `val`, `test` or `shift`; where there is none, a stratified split is made."""


def facts(options: TableOptions) -> DatasetFacts:
    return labelled.facts_of(scan(options), options)


def load(options: TableOptions) -> Dataset:
    return labelled.load(scan(options), options)


def names(options: TableOptions) -> tuple[Names, Names]:
    return labelled.names_of(scan(options), options)


def scan(options: TableOptions) -> Labelled:
    table = Path(options.path)
    if options.image != PATH and (options.text is not None or options.second is not None):
        raise DataError(f"{shown(table)}: `image` and `text` (or `second`) are both given; leave out one of them")
    rows, notes = _read(table, options)
    columns = _columns(options, rows)
    files = _texts(rows, columns) if columns.is_text else _files(table, rows, options)
    labels = rows[options.label]
    classes = sorted(set(labels), key=_natural)
    number = {name: label for label, name in enumerate(classes)}
    modality = "text" if columns.is_text else most_of(one.name for one in files).modality
    splits = None
    if options.split in rows:
        strange = sorted({str(name) for name in rows[options.split]} - SPLITS.keys())
        if strange:
            raise DataError(f"{shown(table)}: column {options.split!r} holds {listed(strange)}; "
                            f"expected {', '.join(SPLITS)}")
        splits = tuple(SPLITS[str(name)] for name in rows[options.split])
        if any(str(name).startswith("val") for name in rows[options.split]):
            word = f"{MODALITIES[modality].example}s"
            notes += (f"validation {word} were added to the training {word}",)
    numbers = tuple(number[one] for one in labels)
    return Labelled(table.parent, files, tuple(classes), numbers, splits, notes, modality).checked()


@dataclass(frozen=True)
class _Columns:
    """What a table's rows hold."""

    content: str
    second: str | None = None
    is_text: bool = False

    @property
    def every(self) -> list[str]:
        return [self.content, *([self.second] if self.second is not None else [])]


def _columns(options: TableOptions, names: Container[str]) -> _Columns:
    """A column of pictures that is asked for by name is none of texts, though it is not there."""
    is_text = options.text is not None or options.second is not None
    is_text |= options.image == PATH not in names and TEXT in names
    return _Columns(options.text or TEXT, options.second, True) if is_text else _Columns(options.image)


def _texts(rows: "pd.DataFrame", columns: _Columns) -> tuple[Packed, ...]:
    parts = [rows[name] for name in columns.every]
    return tuple(Packed(f"row {number}", partial(texts.joined, *row))
                 for number, row in enumerate(zip(*parts, strict=True), 1))  # fmt: skip


def _files(table: Path, rows: "pd.DataFrame", options: TableOptions) -> tuple[Path, ...]:
    files = tuple(table.parent / name for name in rows[options.image])
    word = most_of(path.name for path in files).word
    missing = [shown(path) for path in files if not _is_there(path)]
    if missing:
        raise DataError(f"{shown(table)}: {len(missing)} of {len(files)} {word} are not there: {listed(missing)}")
    pairs = set(zip(files, rows[options.label], strict=True))
    several = [shown(path) for path, count in Counter(path for path, _ in pairs).items() if count > 1]
    if several:
        raise DataError(f"{shown(table)}: {len(several)} {word} have several labels: {listed(several)}")
    return files


def _read(path: Path, options: TableOptions) -> tuple["pd.DataFrame", tuple[str, ...]]:
    """Its rows, and what a reader of the results should know."""
    if not path.is_file():
        raise DataError(f"{shown(path)}: no such table")
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head == b"PAR1":
            read, names = _parquet(path, options)
        else:
            read, names = _jsonl(path) if path.suffix.lower() in JSON_LINES else _csv(path, head)
        _check_cells(path, read, [*_columns(options, read).every, options.label])
        rows = read.astype(str).where(read.notna(), "")
    except ImportError as error:
        raise DataError(f"{shown(path)}: reading parquet needs pyarrow (pip install pyarrow)") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{shown(path)}: not a table ({' '.join(str(error).split())[:200]})") from error
    columns = _columns(options, rows)
    lacking = [repr(name) for name in (*columns.every, options.label) if name not in rows]
    if lacking:
        raise DataError(f"{shown(path)}: no column {' or '.join(lacking)}; found {listed(map(repr, names))}; "
                        "name yours with the options `image` (or `text`) and `label`")
    torn = int(rows[options.label].str.contains("\n", regex=False).sum())
    if torn:
        raise DataError(f"{shown(path)}: {torn} labels go on over several lines, as behind a quote that is not closed")
    lack, word = rows[options.label] == "", "a label"
    if not columns.is_text:  # an empty text is a text
        lack |= rows[options.image] == ""
        word = {"sound": "a clip or a label"}.get(most_of(rows[options.image]).modality, "a picture or a label")
    if lack.any():
        raise DataError(f"{shown(path)}: {int(lack.sum())} rows lack {word}")
    is_csv = head != b"PAR1" and path.suffix.lower() not in JSON_LINES
    return rows, _over_lines(path, rows, columns, options.label) if is_csv and columns.is_text else ()


def _check_cells(path: Path, read: "pd.DataFrame", columns: list[str]) -> None:
    """Numbers may stand for labels, and for texts; lists and objects for nothing."""
    for name in columns:
        for number, cell in enumerate(read.get(name, ()), 1):
            if isinstance(cell, Sized) and not isinstance(cell, str):
                raise DataError(f"{shown(path)}: row {number}: {name!r} is {str(cell)[:40]}, expected a text or a "
                                "number")


def _over_lines(path: Path, rows: "pd.DataFrame", columns: _Columns, label: str) -> tuple[str, ...]:
    """Texts may have lines. Where these are rows of the table, a quote was not closed and swallowed them."""
    width, place, labels = len(rows.columns), list(rows.columns).index(label), set(rows[label])
    several = 0
    for number, row in enumerate(zip(*(rows[name] for name in columns.every), strict=True), 1):
        several += any("\n" in text for text in row)
        for text in row:
            begun = [line.rstrip("\r").split(",") for line in text.split("\n")[:-1]]
            swallowed = sum(len(fields) == width and fields[place] in labels for fields in begun)
            if swallowed and 2 * swallowed >= len(begun):
                raise DataError(f"{shown(path)}: row {number} goes on over {len(begun) + 1} lines that are rows "
                                "themselves, as behind a quote that is not closed")
    return (f"{several} of {len(rows)} rows have texts of several lines",) if several else ()


def _parquet(path: Path, options: TableOptions) -> tuple["pd.DataFrame", list[str]]:
    """The columns that are wanted, and the names of all. A few bytes of it may stand for a million rows."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        _check_size(path, file.metadata.num_rows)
        names = file.schema_arrow.names
        wanted = [name for name in (*_columns(options, names).every, options.label, options.split) if name in names]
        return file.read(wanted).to_pandas(ignore_metadata=True), names


def _csv(path: Path, head: bytes) -> tuple["pd.DataFrame", list[str]]:
    """Text throughout: the class `01` is not 1, and `NA` is a name."""
    import pandas as pd

    if head.startswith(UTF_16):
        raise ValueError("its text is UTF-16; save it as UTF-8")
    with path.open("rb") as file:
        _check_size(path, sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b"")))
    read = pd.read_csv(path, dtype=str, keep_default_na=False)
    if not isinstance(read.index, pd.RangeIndex):  # pandas would take the first ones for names
        raise ValueError("its rows have more fields than its head has names")
    return read, list(read.columns)


def _jsonl(path: Path) -> tuple["pd.DataFrame", list[str]]:
    """One JSON object in each line. Numbers as they are written: the class 01 cannot be."""
    import pandas as pd

    with path.open("rb") as file:
        _check_size(path, sum(block.count(b"\n") for block in iter(lambda: file.read(BLOCK), b"")))
    rows = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            row = json.loads(line, parse_float=str, parse_int=str) if line.strip() else {}
            if not isinstance(row, dict):
                raise ValueError(f"line {number} is no object")  # noqa: TRY004 - of the file, told like its other faults
            rows += [row] if row else []
    read = pd.DataFrame(rows, dtype=object)
    return read, list(map(str, read.columns))


def _check_size(path: Path, rows: int) -> None:
    free = available_memory()
    if free is not None and max(rows * PER_ROW, path.stat().st_size * PER_BYTE) > free:
        raise DataError(f"{shown(path)}: {rows:,} rows, more than the free memory has room for")


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long
        return False


def _natural(name: str) -> tuple[int, float, str]:
    """Numbers by their size, before names."""
    try:
        number = float(name)
    except ValueError:
        return 1, 0.0, name
    return (0, number, name) if math.isfinite(number) else (1, 0.0, name)


CSV = DatasetEntry(
    "csv", "a table of labels and texts, or paths of pictures or clips", facts, load, TableOptions, is_read=True,
    where=("path",), names=names,
)  # fmt: skip
PARQUET = DatasetEntry(
    "parquet", "the same, as parquet", facts, load, TableOptions, is_read=True, where=("path",), names=names
)
JSONL = DatasetEntry(
    "jsonl", "the same, one JSON object in each line", facts, load, TableOptions, is_read=True, where=("path",),
    names=names,
)
