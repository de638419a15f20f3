"""The dataset catalogue: one line each. Third parties add theirs as entry points `bench.datasets`.

An entry says what planning needs without loading a pixel; `cache.py` is the way to its arrays. `README.md` shows how to
add one.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import catalogue
from bench.datasets.arrays import NPZ
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Options, Split
from bench.datasets.digits import DIGITS
from bench.datasets.files import DataError
from bench.datasets.folder import FOLDER
from bench.datasets.huggingface import HUGGING_FACE
from bench.datasets.manifest import CSV, JSONL, PARQUET
from bench.datasets.named import NAMED
from bench.datasets.rendered import RENDERED
from bench.datasets.spoken import SPOKEN_DIGITS
from bench.datasets.tones import TONES
from bench.datasets.written import WRITTEN
from bench.errors import BenchError

DATASETS: dict[str, DatasetEntry] = {
    "source": RENDERED["source"],
    "near": RENDERED["near"],
    "mid": RENDERED["mid"],
    "far": RENDERED["far"],
    "hues": RENDERED["hues"],
    "digits": DIGITS,
    **WRITTEN,
    "tones": TONES,
    "spoken_digits": SPOKEN_DIGITS,
    "folder": FOLDER,
    "npz": NPZ,
    "csv": CSV,
    "parquet": PARQUET,
    "jsonl": JSONL,
    "hf": HUGGING_FACE,
    **NAMED,
}


# timm's own names: taken for what they mean, so that they share records with it. timm's reader is not asked: it falls
# back to other splits and folders without a word.
FROM_TIMM = {"timm:torch/": "", "timm:hfds/": "hf:", "timm:hfids/": "hf:"}


def find(name: str) -> DatasetEntry:
    if name.startswith("timm:"):
        raise BenchError(f"dataset {name!r}: of timm's names those that begin with torch/ and hfds/ are known here; "
                         "a folder of pictures is `folder:PATH`")
    return catalogue.find("dataset", DATASETS, name)


def split_name(name: str) -> tuple[str, dict[str, str]]:
    """`folder:moths` -> ("folder", {"path": "moths"}); any other name as it is."""
    for theirs, ours in FROM_TIMM.items():
        if name.startswith(theirs):
            name = ours + name.removeprefix(theirs)
    prefix, colon, rest = name.partition(":")
    entry = DATASETS.get(prefix)
    return (prefix, {entry.where[0]: rest}) if colon and rest and entry is not None and entry.where else (name, {})


def short_name(name: str) -> str:
    """`folder:images/moths` is shown as `moths`: tables are narrow, and paths are nobody else's business."""
    known, given = split_name(name)
    return next((Path(path).name or path for path in given.values()), known)


def names() -> list[str]:
    return catalogue.names("dataset", DATASETS)


def parse_options(entry: DatasetEntry, raw: Mapping[str, Any]) -> Options:
    """Options with defaults filled, or `catalogue.OptionProblems` naming every wrong one."""
    return catalogue.parse_options(f"dataset {entry.name!r}", entry.options, raw)


__all__ = [
    "DATASETS", "DataError", "Dataset", "DatasetEntry", "DatasetFacts", "Options", "Split", "find", "names",
    "parse_options", "short_name", "split_name",
]  # fmt: skip
