"""Which cells a study of transferability has: not every network belongs to every target."""

from bench.planning.plan import Role
from bench.planning.problems import Problems
from bench.planning.settings import steps_of
from bench.planning.tasks import Task
from bench.strategies.entry import Axis
from bench.suite import study
from bench.suite.schema import ClassesSpec, PretrainingSpec, Suite
from bench.suite.study_schema import BEST, TransferabilitySpec

BASE = "base"
SIGNS = {"frozen": "", "tuned": "+"}  # behind a treatment's name


def role_of(
    asked: TransferabilitySpec, target: ClassesSpec | None, taught: PretrainingSpec | None, axis: Axis | None
) -> Role | None:
    """None: the study has no such cell. `taught`: what the network learned; `axis`: None in the base."""
    assert target is not None, "as `suite/study.py` makes them"
    assert taught is not None, "likewise"
    assert taught.classes is not None, "likewise"
    (pair, own), (other_pair, other) = _place(asked, target), _place(asked, taught.classes)
    if pair != other_pair:
        return None
    if axis is None:
        return Role(pair, own, BASE, 0) if own == other else None
    way = axis.kind
    treatment = "random" if way == "random" else f"{'BnB' if own == other else 'AnB'}{SIGNS[way]}"
    if treatment not in asked.treatments or (way == "random" and own != other):
        return None
    return Role(pair, own, treatment, int(axis.value))


def _place(asked: TransferabilitySpec, part: ClassesSpec) -> tuple[str, str]:
    """The pair, and which part of it."""
    if part.half is not None:
        return f"split {part.split}", part.half
    return " and ".join(asked.groups), "A" if part.group == asked.groups[0] else "B"


def check_reading(suite: Suite, tasks: list[Task], problems: Problems) -> None:
    """The paper's reading takes so many test scores along each final."""
    asked = suite.transferability
    if asked is None or asked.reading != "yosinski":
        return
    fewest = min((min(suite.training.evaluations, steps_of(suite.training, task.num_labels)) for task in tasks),
                 default=BEST)  # fmt: skip
    if fewest < BEST:
        problems.add((study.KEY, "reading"), f"the paper's reading is the mean of the {BEST} best test scores along a "
                     f"training, and a final here is scored {fewest} times; set training.evaluations to {BEST} or "
                     f"more, and no fewer steps")
