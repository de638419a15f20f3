"""A few examples of a data set, made small, in one file beside the records: <root>/samples/<digest of the data>.json.

The engine's `samples.py` writes it where it first has the data at hand; a page, which has no data, reads it.
"""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

from pydantic import Field

from bench.keys import digest
from bench.spec.refs import DataRef
from bench.store import remembered
from bench.store.results import Count, Fields, read

FORM = 1  # of the file: another way of taking samples has another number
Picture = Annotated[str, Field(pattern=r"^image/(png|jpeg);base64,[A-Za-z0-9+/]+=*$", max_length=40_000)]
Text = Annotated[str, Field(max_length=200)]


class Shown(Fields):
    """Some examples as `modalities/glimpse.py` makes them; in one of two ways."""

    picture: Picture | None = None  # side by side
    texts: Annotated[list[Text], Field(max_length=10)] = []


class OfClass(Fields):
    name: str
    num_train: Count
    num_test: Count
    examples: Shown | None = None  # of training; None of the later classes of many
    num: Count = 0  # of these examples


class KeptExample(Fields):
    """A test example."""

    place: Count  # in the test split, or among all examples of a set that repeats divide anew
    label: Count
    example: Shown


class Samples(Fields):
    classes: list[OfClass]
    tested: list[KeptExample]  # chosen at random
    num_tested: Count  # of how many they were chosen


@dataclass(frozen=True)
class KeptSamples:
    """Read when somebody asks, and then once."""

    path: Path

    @property
    def found(self) -> Samples | None:
        """None where there is no file, and where it cannot be read: `problem` says why."""
        return self._read[0]

    @property
    def problem(self) -> str:
        return self._read[1]

    @cached_property
    def _read(self) -> tuple[Samples | None, str]:
        said: list[str] = []
        raw = remembered.recall(self.path, lambda _: said.append(f"{self.path}: damaged"))
        if raw is None:
            return None, "".join(said)
        try:
            if not isinstance(raw, dict):
                raise ValueError("no mapping")
            return read(Samples, raw, "samples"), ""
        except ValueError as error:
            return None, f"{self.path}: damaged ({error})"


def path_of(root: Path, data: DataRef) -> Path:
    """`root`: of the suite's records. All repeats and label budgets of a data set share it."""
    return root / "samples" / f"{digest([FORM, data.as_read])}.json"
