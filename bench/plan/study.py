"""Which cells a study of transferability has: not every network belongs to every target."""

from bench.plan.plan import Role
from bench.strategies.entry import Axis
from bench.suite.schema import ClassesSpec, PretrainingSpec
from bench.suite.study_schema import TransferabilitySpec

BASE = "base"
SIGNS = {"frozen": "", "tuned": "+"}  # behind a treatment's name


def role_of(
    study: TransferabilitySpec, target: ClassesSpec | None, taught: PretrainingSpec | None, axis: Axis | None
) -> Role | None:
    """None: the study has no such cell. `taught`: what the network learned; `axis`: None in the base."""
    assert target is not None, "as `suite/study.py` makes them"
    assert taught is not None, "likewise"
    assert taught.classes is not None, "likewise"
    (pair, own), (other_pair, other) = _place(study, target), _place(study, taught.classes)
    if pair != other_pair:
        return None
    if axis is None:
        return Role(pair, own, BASE, 0) if own == other else None
    way = axis.kind
    treatment = "random" if way == "random" else f"{'BnB' if own == other else 'AnB'}{SIGNS[way]}"
    if treatment not in study.treatments or (way == "random" and own != other):
        return None
    return Role(pair, own, treatment, int(axis.value))


def _place(study: TransferabilitySpec, part: ClassesSpec) -> tuple[str, str]:
    """The pair, and which part of it."""
    if part.half is not None:
        return f"split {part.split}", part.half
    return " and ".join(study.groups), "A" if part.group == study.groups[0] else "B"
