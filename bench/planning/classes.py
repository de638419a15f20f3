"""Which classes of a data set a suite takes: by name, by a group that the set declares, or as a random half."""

from bench.datasets.base import DatasetEntry, DatasetFacts
from bench.datasets.sampling import shuffled
from bench.errors import nearest
from bench.keys import seed_for
from bench.suite.schema import ClassesSpec


def chosen(asked: ClassesSpec, name: str, entry: DatasetEntry, facts: DatasetFacts) -> tuple[int, ...]:
    """Places among the set's classes, ascending. Raises ValueError."""
    if not facts.train_sizes or not facts.test_sizes or bool(facts.num_shift) != bool(facts.shift_sizes):
        raise ValueError(f"{name!r} does not tell how many examples each class has, so no part of it can be planned")
    if asked.half is not None:
        found = _half(asked, name, facts.num_classes)
    elif asked.group is not None:
        if asked.group not in entry.groups:
            known = f"; it has {', '.join(entry.groups)}" if entry.groups else "; it has none"
            raise ValueError(f"{name!r} has no group of classes {asked.group!r}{known}")
        found = _by_name(entry.groups[asked.group], name, facts)
    else:
        found = _by_name(asked.names, name, facts)
    if len(found) < 2:
        raise ValueError(f"{len(found)} of the {facts.num_classes} classes of {name!r}: there is nothing to tell apart")
    return found


def _half(asked: ClassesSpec, name: str, num_classes: int) -> tuple[int, ...]:
    """The halves of one split have no class in common; with an odd number A has one more."""
    order = shuffled(num_classes, seed_for("class split", name, asked.split))
    middle = (num_classes + 1) // 2
    return tuple(sorted(order[:middle] if asked.half == "A" else order[middle:]))


def _by_name(names: tuple[str | int, ...], name: str, facts: DatasetFacts) -> tuple[int, ...]:
    if not facts.classes:
        raise ValueError(f"{name!r} does not tell what its classes are called; take a `half` of it")
    places = {known: place for place, known in enumerate(facts.classes)}
    unknown = [str(one) for one in names if str(one) not in places]
    if unknown:
        close = nearest(unknown[0], places)
        hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
        raise ValueError(f"{name!r} has no class {', '.join(map(repr, unknown))}{hint}")
    return tuple(sorted({places[str(one)] for one in names}))
