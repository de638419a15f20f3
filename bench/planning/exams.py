"""What a target's test split asks about, against what the weights learned before: no pretraining on the exam.

A set that is the target itself is known at planning. That two sets share examples is known once both have been
decoded (`datasets/overlap.py`): `examine` compares them, before the first training.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from bench.datasets.base import Dataset
from bench.datasets.overlap import Overlap, overlap, worst
from bench.datasets.sampling import Division
from bench.errors import SuiteError
from bench.keys import digest
from bench.modalities import example_of
from bench.planning.plan import Cell, Lesson, Plan
from bench.spec.refs import DataRef
from bench.suite.load import LoadedSuite

REMEDY = "take other data, or write `allow_overlap: true` beside it to do this knowingly"


@dataclass(frozen=True)
class Exam:
    lesson: Lesson
    target: str  # label
    data: DataRef  # of the target
    example: str  # what people call one of its examples
    splits: tuple[int | str, ...] = ()  # of its repeats; (): they share one

    @property
    def pair(self) -> tuple[object, ...]:
        """What it is told by."""
        return (self.lesson.loc, digest(self.data), self.splits)

    @property
    def is_same(self) -> bool:
        """The target itself, as far as can be told without its content. A metric makes no other examples."""
        mine, theirs = self.lesson.data, self.data
        if (mine.name, mine.options, mine.revision) != (theirs.name, theirs.options, theirs.revision):
            return False
        return mine.classes is None or theirs.classes is None or not set(mine.classes).isdisjoint(theirs.classes)


Examined = tuple[Exam, Overlap | None]


def exams_of(cells: Iterable[Cell]) -> list[Exam]:
    """Each pair once, in the order of the suite."""
    every = [Exam(lesson, cell.dataset, cell.declared.data, example_of([cell.modality]), cell.splits)
             for cell in cells for lesson in cell.lessons]  # fmt: skip
    return list({exam.pair: exam for exam in every}.values())


def refuse_same(loaded: LoadedSuite, cells: Iterable[Cell]) -> None:
    """Raises SuiteError."""
    _refuse(loaded, [(exam, f"all {exam.example}s") for exam in exams_of(cells) if exam.is_same])


def refuse_overlaps(loaded: LoadedSuite, found: Iterable[Examined]) -> None:
    """Raises SuiteError."""
    own = [(exam, known) for exam, known in found if known is not None and known.is_own]
    _refuse(loaded, [(exam, known.in_words(exam.example)) for exam, known in own])


def _refuse(loaded: LoadedSuite, known: Iterable[tuple[Exam, str]]) -> None:
    lines = [
        loaded.problem(exam.lesson.loc, f"{what} of the target {exam.target!r} would be learned here; {REMEDY}")
        for exam, what in known
        if not exam.lesson.may_overlap
    ]
    if lines:
        raise SuiteError(lines)


def examine(plan: Plan, load: Callable[[DataRef], Dataset | None]) -> list[Examined]:
    """What each pair has in common. `load`: None where the examples are not at hand, and nothing is known then."""
    loaded: dict[str, Dataset | None] = {}

    def at_hand(ref: DataRef) -> Dataset | None:
        key = digest(ref)
        if key not in loaded:
            loaded[key] = load(ref)
        return loaded[key]

    pairs = [(exam, at_hand(exam.lesson.data), at_hand(exam.data)) for exam in exams_of(plan.cells)]
    return [
        (exam, None if learned is None or target is None else _most(plan.lists.of(exam.splits), learned, target))
        for exam, learned, target in pairs
    ]


def _most(splits: Sequence[int | Division | None], learned: Dataset, target: Dataset) -> Overlap:
    """Of the repeats."""
    return worst([overlap(learned, target, split) for split in splits or (None,)])


def sentences(found: Iterable[Examined]) -> list[str]:
    """Of those pairs that have examples in common, as far as that is known. Sets that were each learned from
    themselves, as the controls of a study are, share one."""
    told: dict[str, list[str]] = {}  # targets, by what is said of them
    for exam, known in found:
        if known or (known is None and exam.is_same):
            told.setdefault(_said(exam, known), []).append(exam.target)
    return [f"{', '.join(dict.fromkeys(targets))}: {said}." for said, targets in told.items()]


def _said(exam: Exam, known: Overlap | None) -> str:
    what = known.in_words(exam.example) if known else f"all {exam.example}s"
    source = "itself" if exam.is_same and exam.lesson.label == exam.target else exam.lesson.label
    allowed = ", as `allow_overlap` says" if exam.lesson.may_overlap else ""
    return f"{what} were learned beforehand, from {source}{allowed}"
