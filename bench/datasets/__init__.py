"""The dataset catalogue: one line each. Third parties add theirs as entry points `bench.datasets`.

An entry says what planning needs without loading a pixel; `cache.py` is the way to its arrays. `README.md` shows how to
add one.
"""

from collections.abc import Mapping
from typing import Any

from bench import catalogue
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Options, Split
from bench.datasets.digits import DIGITS
from bench.datasets.rendered import RENDERED

DATASETS: dict[str, DatasetEntry] = {
    "source": RENDERED["source"],
    "near": RENDERED["near"],
    "mid": RENDERED["mid"],
    "far": RENDERED["far"],
    "digits": DIGITS,
}


def find(name: str) -> DatasetEntry:
    return catalogue.find("dataset", DATASETS, name)


def names() -> list[str]:
    return catalogue.names("dataset", DATASETS)


def parse_options(entry: DatasetEntry, raw: Mapping[str, Any]) -> Options:
    """Options with defaults filled, or `catalogue.OptionProblems` naming every wrong one."""
    return catalogue.parse_options(f"dataset {entry.name!r}", entry.options, raw)


__all__ = ["DATASETS", "Dataset", "DatasetEntry", "DatasetFacts", "Options", "Split", "find", "names", "parse_options"]
