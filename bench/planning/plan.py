"""What a suite comes to: cells, and the jobs that fill them. Pure values; `execute/` walks the jobs in order."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from bench.datasets.base import DatasetFacts
from bench.datasets.split_lists import Lists, TaskList
from bench.errors import BenchError, NothingSelected, nearest
from bench.keys import digest
from bench.planning.precision import Choice, Machine
from bench.planning.resplit import notes_of
from bench.spec.job import Job
from bench.spec.refs import DataRef, LabelBudget, PitfallName, Weights
from bench.strategies.entry import Axis
from bench.suite.load import LoadedSuite
from bench.suite.schema import BackboneSpec, DatasetSpec, StrategySpec


@dataclass(frozen=True)
class Declared:
    """What the person wrote of a cell, and the content of what it names: the gate tells by it whether a change was
    meant. In no key."""

    dataset: DatasetSpec
    data: DataRef
    backbone: BackboneSpec
    weights: Weights
    source: DataRef | None  # what the backbone is pretrained on inside the suite
    strategy: StrategySpec
    via: tuple[DataRef, ...] = ()  # what the strategy learns on the way, in turn


@dataclass(frozen=True)
class Role:
    """What a cell is in a study of transferability."""

    pair: str  # `split 0`, `shapes and textures`
    target: str  # the part that it learns: A or B
    treatment: str  # `base`, or one of `study_schema.TREATMENTS`
    keep: int  # units; 0 in the base


@dataclass(frozen=True)
class Lesson:
    """A data set that the weights of a cell learn before the target's labels."""

    label: str
    data: DataRef
    loc: tuple[str | int, ...]  # where the suite names it
    may_overlap: bool  # knowingly with the target's own examples


@dataclass(frozen=True)
class Cell:
    """Task x backbone x strategy: the thing that is compared."""

    dataset: str  # labels, as tables show them
    budget: LabelBudget
    backbone: str
    strategy: str
    baseline: bool
    num_labels: int
    num_classes: int
    num_units: int
    axis: Axis | None  # as its strategy declares it
    pretrainings: tuple[str, ...]  # keys, one per repeat; (): its weights are not made inside the suite
    searches: tuple[str, ...]  # keys, one per repeat; all the same where the cell searches once
    finals: tuple[str, ...]  # keys, one per repeat
    declared: Declared
    # Keys, one per repeat, where a suite asks for finals of the points that were not chosen: each job has a record for
    # every such trial. No score of a cell reads them.
    unchosen: tuple[str, ...] = ()
    lessons: tuple[Lesson, ...] = ()  # one after another
    splits: tuple[int | str, ...] = ()  # of its data set, as `DataRef.split`, one per repeat; (): all share one
    listed: TaskList | None = None  # what a list says of its examples; None: they are drawn
    role: Role | None = None  # in a study
    pitfall: PitfallName | Literal[""] = ""  # the mistake that it makes on purpose (pitfalls.py)
    right: str = ""  # the strategy without it
    modality: str = "image"  # what its data set holds

    @property
    def task(self) -> str:
        return f"{self.dataset} @ {self.budget.text}"


@dataclass(frozen=True)
class DataSource:
    """Where a dataset's examples come from, and what is known of them. In no key."""

    options: dict[str, Any]  # all of them, paths too
    facts: DatasetFacts


@dataclass
class Finds:
    """What names of a suite came to on this machine: kept with a run, so that its report outlives its data."""

    sources: dict[str, DataSource] = field(default_factory=dict)  # by digest of a dataset's name and options as written
    weights: dict[str, str] = field(default_factory=dict)  # identity, by digest of a backbone's name and weights
    networks: dict[str, dict[str, Any]] = field(default_factory=dict)  # by digest of a backbone's name and options
    lists: dict[str, str] = field(default_factory=dict)  # what lists of examples say, by the path as written


@dataclass(frozen=True)
class Plan:
    loaded: LoadedSuite
    cells: tuple[Cell, ...]
    jobs: dict[str, Job]  # every job once, needs before users
    weights_files: dict[str, Path]  # identity of weights -> the local checkpoint of that content
    pretrain_labels: dict[str, tuple[str, str]]  # key of a pretraining -> (backbone label, dataset)
    sources: dict[str, DataSource]  # digest of a DataRef -> its examples
    finds: Finds
    machine: Machine  # what `precision: auto` was asked of
    arithmetic: dict[str, Choice]  # what a network trains in and why, by `arithmetic_key`

    @property
    def num_trainings(self) -> int:
        """Records that a complete run leaves: trials, finals and pretrainings."""
        return sum(len(job.record_keys) for job in self.jobs.values())

    @property
    def mistaken(self) -> frozenset[str]:
        """Keys of finals that make a mistake on purpose, and that no right cell shares."""
        wrong, right = ({key for cell in self.cells if bool(cell.pitfall) is made for key in cell.finals}
                        for made in (True, False))  # fmt: skip
        return frozenset(wrong - right)

    @cached_property
    def lists(self) -> Lists:
        every = [cell.listed for cell in self.cells if cell.listed is not None]
        return Lists({key: one for task in every for key, one in task.labels.items()},
                     {key: one for task in every for key, one in task.divisions.items()})

    @property
    def told_of_lists(self) -> list[str]:
        """Where examples were not drawn, in full sentences."""
        return list(dict.fromkeys(f"{cell.dataset}: {cell.listed.told}." for cell in self.cells if cell.listed))

    def facts_of(self, cell: Cell) -> DatasetFacts:
        """As its repeats see the data."""
        facts = self.sources[digest(cell.declared.data)].facts
        return facts if cell.listed is None else cell.listed.seen(facts)

    @property
    def notes(self) -> list[str]:
        """What a reader should know of the data sets, and what the suite cannot tell, in full sentences."""
        cells = {cell.dataset: cell for cell in self.cells}
        notes = [f"{label}: {note}." for label, cell in sorted(cells.items()) for note in self.told_of_data(cell)]
        if not any(cell.baseline for cell in self.cells):
            notes.append("This suite has no scratch baseline, so nothing here says whether transfer helps at all.")
        return notes

    def told_of_data(self, cell: Cell) -> tuple[str, ...]:
        facts = self.sources[digest(cell.declared.data)].facts
        told = notes_of(self.loaded.suite, cell.declared.dataset, facts, cell.splits)
        return told if cell.listed is None else (*told, cell.listed.told)

    def select(self, filters: Iterable[str]) -> "Plan":
        """Only the cells that match; `dataset=near strategy=freeze*`. One axis twice means either."""
        tests = parse_filters(filters)
        cells = tuple(cell for cell in self.cells if all(test(cell) for test in tests))
        if not cells:
            raise NothingSelected("the filter leaves none of the suite's " + f"{len(self.cells)} cells")
        return self.of(cells)

    def without_mistakes(self) -> "Plan":
        """Only what is ranked."""
        right = tuple(cell for cell in self.cells if not cell.pitfall)
        return self.of(right) if len(right) < len(self.cells) else self

    def pretrainings(self) -> "Plan":
        """What cells may share across shards, and none of the cells."""
        return replace(self, cells=(), jobs={key: job for key, job in self.jobs.items() if job.kind == "pretrain"})

    def repeats(self, number: int) -> "Plan":
        """Only the first so many of each cell."""
        per_repeat = "pretrainings", "searches", "finals", "unchosen", "splits"
        return self.of(tuple(replace(cell, **{name: getattr(cell, name)[:number] for name in per_repeat})
                             for cell in self.cells))  # fmt: skip

    def of(self, cells: tuple[Cell, ...]) -> "Plan":
        """These alone, with what they need."""
        wanted = {key for cell in cells for key in (*cell.searches, *cell.finals, *cell.unchosen)}
        for key, job in reversed(self.jobs.items()):  # users before what they need
            if key in wanted:
                wanted.update(job.needs)
        return replace(self, cells=cells, jobs={key: job for key, job in self.jobs.items() if key in wanted})


AXES: dict[str, Callable[[Cell], str]] = {
    "dataset": lambda cell: cell.dataset,
    "budget": lambda cell: cell.budget.text,
    "backbone": lambda cell: cell.backbone,
    "strategy": lambda cell: cell.strategy,
}


def parse_filters(filters: Iterable[str]) -> list[Callable[[Cell], bool]]:
    wanted: dict[str, list[str]] = {}
    for text in filters:
        axis, equals, pattern = text.partition("=")
        if not equals or axis not in AXES:
            close = nearest(axis, AXES, limit=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise BenchError(f"--filter {text}: expected AXIS=PATTERN with AXIS one of {', '.join(AXES)}{hint}")
        wanted.setdefault(axis, []).append(pattern)
    return [_either(AXES[axis], patterns) for axis, patterns in wanted.items()]


def _either(read: Callable[[Cell], str], patterns: list[str]) -> Callable[[Cell], bool]:
    """Brackets stand for themselves: labels have them, `full_finetune [not normalised]`."""
    plain = [pattern.replace("[", "[[]") for pattern in patterns]
    return lambda cell: any(fnmatchcase(read(cell), pattern) for pattern in plain)
