"""`csv:PATH` and `parquet:PATH`: a table with a picture's path and its label in each row."""

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from bench.datasets import labelled
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts
from bench.datasets.files import DataError, listed, shown
from bench.datasets.labelled import Labelled, PictureOptions
from bench.memory import available_memory

if TYPE_CHECKING:
    import pandas as pd

SPLITS = {"train": "train", "training": "train", "val": "train", "valid": "train", "validation": "train",
          "test": "test", "testing": "test"}
PER_BYTE = 20  # bytes of memory for a byte of a table, at most: short fields become objects
PER_ROW = 4_000  # bytes of memory for a row, while the revision is made of all paths and digests
BLOCK = 1 << 16  # bytes that are read at once while rows are counted
UTF_16 = b"\xff\xfe", b"\xfe\xff"


class TableOptions(PictureOptions):
    path: str
    """The table; `csv:PATH` or `parquet:PATH` as the dataset's name is the same. Pictures are found relative to it."""
    image: str = "path"
    """The column of pictures."""
    label: str = "label"
    """The column of labels, text or numbers."""
    split: str = "split"
    """The column that says `train`, `val` or `test`; where there is none, a stratified split is made."""


def facts(options: TableOptions) -> DatasetFacts:
    return labelled.facts_of(scan(options), options)


def load(options: TableOptions) -> Dataset:
    return labelled.load(scan(options), options)


def scan(options: TableOptions) -> Labelled:
    table = Path(options.path)
    rows = _read(table, options)
    root = table.parent
    files = tuple(root / name for name in rows[options.image])
    missing = [shown(path) for path in files if not _is_there(path)]
    if missing:
        raise DataError(f"{shown(table)}: {len(missing)} of {len(files)} pictures are not there: {listed(missing)}")
    labels = rows[options.label]
    several = [shown(path) for path, count in Counter(path for path, _ in set(zip(files, labels, strict=True))).items()
               if count > 1]
    if several:
        raise DataError(f"{shown(table)}: {len(several)} pictures have several labels: {listed(several)}")
    classes = sorted(set(labels), key=_natural)
    number = {name: label for label, name in enumerate(classes)}
    splits = None
    notes: tuple[str, ...] = ()
    if options.split in rows:
        strange = sorted({str(name) for name in rows[options.split]} - SPLITS.keys())
        if strange:
            raise DataError(f"{shown(table)}: column {options.split!r} holds {listed(strange)}; "
                            f"expected {', '.join(SPLITS)}")
        splits = tuple(SPLITS[str(name)] for name in rows[options.split])
        if any(str(name).startswith("val") for name in rows[options.split]):
            notes = ("validation images were added to the training images",)
    return Labelled(root, files, tuple(classes), tuple(number[one] for one in labels), splits, notes).checked()


def _read(path: Path, options: TableOptions) -> "pd.DataFrame":
    if not path.is_file():
        raise DataError(f"{shown(path)}: no such table")
    try:
        with path.open("rb") as file:
            head = file.read(4)
        read, names = _parquet(path, options) if head == b"PAR1" else _csv(path, head)
        rows = read.astype(str).where(read.notna(), "")
    except ImportError as error:
        raise DataError(f"{shown(path)}: reading parquet needs pyarrow (pip install pyarrow)") from error
    except (ValueError, OSError) as error:
        raise DataError(f"{shown(path)}: not a table ({' '.join(str(error).split())[:200]})") from error
    lacking = [repr(name) for name in (options.image, options.label) if name not in rows]
    if lacking:
        raise DataError(f"{shown(path)}: no column {' or '.join(lacking)}; found {listed(map(repr, names))}; "
                        "name yours with the options `image` and `label`")
    torn = int(rows[options.label].str.contains("\n", regex=False).sum())
    if torn:
        raise DataError(f"{shown(path)}: {torn} labels go on over several lines, as behind a quote that is not closed")
    empty = int(((rows[options.image] == "") | (rows[options.label] == "")).sum())
    if empty:
        raise DataError(f"{shown(path)}: {empty} rows lack a picture or a label")
    return rows


def _parquet(path: Path, options: TableOptions) -> tuple["pd.DataFrame", list[str]]:
    """The columns that are wanted, and the names of all. A few bytes of it may stand for a million rows."""
    from pyarrow.parquet import ParquetFile

    with ParquetFile(path) as file:
        _check_size(path, file.metadata.num_rows)
        names = file.schema_arrow.names
        wanted = [name for name in (options.image, options.label, options.split) if name in names]
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
    "csv", "a table of picture paths and labels", facts, load, TableOptions, is_read=True, where=("path",)
)
PARQUET = DatasetEntry("parquet", "the same, as parquet", facts, load, TableOptions, is_read=True, where=("path",))
