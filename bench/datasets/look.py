"""What lies at a path, for people who have no suite yet: which entry of the catalogue reads it, with which options, and
what it finds there. `commands/init.py` writes a suite of it."""

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.datasets.arrays import NPZ
from bench.datasets.base import DatasetEntry, DatasetFacts
from bench.datasets.files import DataError, listed, shown, visible
from bench.datasets.folder import FOLDER
from bench.datasets.kinds import kind_of
from bench.datasets.manifest import CSV, JSONL, PARQUET, SPLITS, TEXT

if TYPE_CHECKING:
    import pandas as pd

TABLES = {".csv": CSV, ".parquet": PARQUET, ".jsonl": JSONL, ".ndjson": JSONL, ".json": JSONL}
READ = {**TABLES, ".npz": NPZ}
ROWS = 500  # of a table, that its columns are guessed by
LABELS = ("label", "labels", "class", "target", "category", "y", "intent", "sentiment", "species", "diagnosis")
TEXTS = (TEXT, "sentence", "review", "message", "content", "question", "title", "body", "comment", "utterance")
PARTS = ("split", "set", "subset", "partition")
FEW = 60  # test examples; of fewer, where we divide the set, a larger share is tested on
LARGE_SHARE = 0.4
MANY = 3000  # examples


@dataclass(frozen=True)
class Look:
    """`options`: beside the path, where they are not the defaults."""

    entry: DatasetEntry
    path: Path
    options: dict[str, Any]
    facts: DatasetFacts

    @property
    def modality(self) -> str:
        return self.facts.modality or self.entry.modality

    @property
    def is_divided(self) -> bool:
        """Whether no test split comes with it."""
        return self.facts.division is not None

    @property
    def divides_anew(self) -> bool:
        """Whether it is worth to divide it anew in every repeat: of many examples, one division tells enough."""
        return self.is_divided and self.facts.num_train + self.facts.num_test < MANY


def look_at(path: Path) -> Look:
    """Raises DataError, one line, for what is no data set."""
    if not path.exists():
        near = [shown(one) for one in visible(path.parent)] if path.parent.is_dir() else []
        raise DataError(f"{shown(path)}: no such file or folder" + (f"; there are {listed(near)}" if near else ""))
    look = _folder(path) if path.is_dir() else _file(path)
    if look.is_divided and look.facts.num_test < FEW:
        more = _asked(look.entry, path, {**look.options, "test_share": LARGE_SHARE})
        return more if more.facts.smallest_class >= 2 else look
    return look


def _asked(entry: DatasetEntry, path: Path, options: Mapping[str, Any]) -> Look:
    facts = entry.facts(entry.options.model_validate({**options, "path": str(path)}))
    return Look(entry, path, dict(options), facts)


def _folder(path: Path) -> Look:
    try:
        return _asked(FOLDER, path, {})
    except DataError as error:
        tables = [one for one in visible(path) if one.suffix.lower() in READ]
        if tables and not any(one.is_dir() for one in visible(path)):
            raise DataError(f"{error}; it holds {listed(shown(one.name) for one in tables)}: name that file") from error
        raise


def _file(path: Path) -> Look:
    entry = READ.get(path.suffix.lower())
    if entry is None:
        raise DataError(f"{shown(path)}: no data set; expected a folder with a folder per class, or a file that ends "
                        f"in {', '.join(READ)}")
    return _asked(entry, path, _columns(path) if path.suffix.lower() in TABLES else {})


def _columns(path: Path) -> dict[str, str]:
    """The options that name a table's columns, where these are not called as usual."""
    rows = _first_rows(path)
    by_name = {str(name).strip().lower(): str(name) for name in rows}
    label = next((by_name[name] for name in LABELS if name in by_name), None) or _fewest_values(rows)
    split = next((by_name[name] for name in PARTS if name in by_name and _are_splits(rows[by_name[name]])), None)
    rest = [str(name) for name in rows if str(name) not in (label, split)]
    files = [name for name in rest if _are_files(rows[name])]
    texts = [by_name[name] for name in TEXTS if by_name.get(name) in rest]
    if not texts and not files:
        texts = sorted(rest, key=lambda name: -float(rows[name].str.len().mean()))
    if label is None or not (files or texts):
        raise DataError(f"{shown(path)}: no column of labels beside one of texts or of paths; "
                        f"found {listed(map(repr, by_name.values()))}")
    content = {"image": files[0]} if files else {"text": texts[0]}
    usual = {"image": "path", "text": TEXT, "label": "label", "split": "split"}
    named = {**content, "label": label, **({"split": split} if split else {})}
    return {option: name for option, name in named.items() if usual[option] != name}


def _first_rows(path: Path) -> "pd.DataFrame":
    import pandas as pd

    try:
        if path.suffix.lower() == ".csv":
            return pd.read_csv(path, dtype=str, keep_default_na=False, nrows=ROWS)
        if path.suffix.lower() == ".parquet":
            from pyarrow.parquet import ParquetFile

            with ParquetFile(path) as file:
                first = next(file.iter_batches(batch_size=ROWS), None)
            return pd.DataFrame() if first is None else first.to_pandas().astype(str)
        with path.open(encoding="utf-8-sig") as file:
            lines = [line for _, line in zip(range(ROWS), file, strict=False) if line.strip()]
        return pd.DataFrame([json.loads(line) for line in lines]).astype(str)
    except ImportError as error:
        raise DataError(f"{shown(path)}: reading parquet needs pyarrow (pip install pyarrow)") from error
    except (ValueError, OSError, AttributeError, csv.Error) as error:
        raise DataError(f"{shown(path)}: not a table ({' '.join(str(error).split())[:200]})") from error


def _fewest_values(rows: "pd.DataFrame") -> str | None:
    """What has few values, each of them often, is a class."""
    counts = {str(name): rows[name].nunique() for name in rows if not _are_splits(rows[name])}
    return min((name for name, count in counts.items() if 2 <= count <= len(rows) // 2), key=counts.__getitem__,
               default=None)  # fmt: skip


def _are_splits(column: "pd.Series[str]") -> bool:
    return len(column) > 0 and set(column) <= SPLITS.keys()


def _are_files(column: "pd.Series[str]") -> bool:
    kinds = [kind_of(name) for name in column]
    return bool(kinds) and all(kind is not None and kind.modality != "text" for kind in kinds)
