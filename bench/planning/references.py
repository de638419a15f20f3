"""Which cells published values speak of, and what of their protocol is known to be the same.

`suite/references.py` reads the values; `analysis/references.py` lays them beside the cells' own scores.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from bench.planning.plan import Cell, Plan
from bench.spec.job import FitSpec
from bench.spec.refs import Pipeline
from bench.suite.references import Reference, ReferenceFile

METRICS = {"accuracy": "accuracy", "mean_per_class": "mean accuracy per class", "macro_f1": "macro-F1",
           "mcc": "Matthews correlation"}  # fmt: skip
READINGS = {"last": "after the last step", "best_on_test": "at the best of several moments, by test scores",
            "ten_best_on_test": "the mean of the ten best test scores along the training"}  # fmt: skip
NONE = "none"  # of pretraining


@dataclass(frozen=True)
class Fact:
    """One thing about how a value was measured."""

    name: str
    ours: str
    theirs: str  # empty where it is not known
    same: bool | None  # None: nobody can tell


@dataclass(frozen=True)
class Match:
    """A published value and a cell that it speaks of."""

    reference: Reference
    cell: tuple[str, str, str, str]  # dataset, budget, backbone, strategy, as tables show them
    facts: tuple[Fact, ...]


@dataclass(frozen=True)
class Published:
    """A file of published values, and what of it speaks of this suite."""

    file: ReferenceFile
    matches: tuple[Match, ...]


def published_of(plan: Plan) -> tuple[Published, ...]:
    """In the order of the suite."""
    cells = [cell for cell in plan.cells if not cell.pitfall]
    return tuple(
        Published(file, tuple(_match(one, cell, plan) for one in file.values for cell in _spoken_of(one, cells)))
        for file in plan.loaded.references
    )


def _spoken_of(reference: Reference, cells: list[Cell]) -> Iterator[Cell]:
    """Cells whose trainings are the same ones count once."""
    seen: set[tuple[str, ...]] = set()
    for cell in cells:
        if cell.finals not in seen and _speaks_of(reference, cell):
            seen.add(cell.finals)
            yield cell


def _speaks_of(reference: Reference, cell: Cell) -> bool:
    declared = cell.declared
    is_control = declared.weights.origin == "random" and not cell.baseline  # the strategy has nothing to transfer
    if is_control or reference.labels != cell.budget.text:
        return False
    if not _fits(reference.dataset, declared.dataset.name, cell.dataset):
        return False
    if not _fits(reference.backbone, declared.backbone.name, cell.backbone):
        return False
    if cell.role is None:  # a part of a set is another task than the whole
        whole = declared.dataset.classes is None and not reference.treatment
        return whole and _fits(reference.strategy, cell.strategy)
    role = (cell.role.treatment, cell.role.keep)
    return role == (reference.treatment, reference.keep) and _fits((reference.pair,), cell.role.pair)


def _fits(patterns: tuple[str, ...], *names: str) -> bool:
    """Brackets stand in labels, so that they are no pattern."""
    return any(fnmatchcase(name, one.replace("[", "[[]")) for one in patterns for name in names)


def _match(reference: Reference, cell: Cell, plan: Plan) -> Match:
    spec = plan.jobs[cell.searches[0]].spec
    assert isinstance(spec, FitSpec), "a cell is searched"
    place = (cell.dataset, cell.budget.text, cell.backbone, cell.strategy)
    return Match(reference, place, tuple(_facts(reference, cell, spec)))


def _facts(reference: Reference, cell: Cell, spec: FitSpec) -> Iterator[Fact]:
    theirs, recipe, training = reference.protocol, spec.recipe, spec.training
    is_trained = recipe.solve is None and recipe.own_head is None
    side = spec.pipeline.image_size if isinstance(spec.pipeline, Pipeline) else None
    reading = READINGS["last"] if recipe.stop_early is None else "at the moment that validation chose"
    yield _pretraining(reference, cell, spec)
    yield Fact("labels", cell.budget.text, reference.labels, True)
    if is_trained:
        yield _counted("steps", training.steps, theirs.steps)
        yield _counted("batch size", training.batch_size, theirs.batch_size)
    elif theirs.steps:
        yield Fact("steps", "none, as it is solved at once", f"{theirs.steps:,}", False)
    yield _counted("image size", side, theirs.image_size)
    yield _counted("settings tried", spec.search.trials if is_trained else None, theirs.settings)
    yield _worded("moment of the score", reading, READINGS[theirs.reads] if theirs.reads else "")
    yield _counted("repeats", len(cell.finals), theirs.repeats)
    yield _worded("average", "mean", theirs.average or "")
    yield _worded("metric", METRICS[spec.data.metric], METRICS[theirs.metric] if theirs.metric else "")


def _pretraining(reference: Reference, cell: Cell, spec: FitSpec) -> Fact:
    """Two sets of weights are the same where the file names ours, and where there are none on either side."""
    theirs, ours = reference.protocol, _weights(cell, spec)
    told = theirs.pretraining or ""
    if not told:
        return Fact("pretraining", ours, "", None)
    if NONE in (ours, told):
        return Fact("pretraining", ours, told, ours == told)
    return Fact("pretraining", ours, told, _fits(theirs.weights, ours) if theirs.weights else None)


def _weights(cell: Cell, spec: FitSpec) -> str:
    declared = cell.declared
    if spec.recipe.init == "random" or (declared.weights.origin == "random" and not cell.lessons):
        return NONE
    learned = [one.label for one in cell.lessons]
    if declared.weights.origin == "hub":
        learned = [declared.weights.identity.partition("@")[0], *learned]
    elif declared.weights.origin == "file":
        learned = [declared.backbone.weights or declared.backbone.name, *learned]
    return ", then ".join(learned)


def _counted(name: str, ours: int | None, theirs: int | None) -> Fact:
    """None where it is not known, or not counted alike."""
    return _worded(name, "" if ours is None else f"{ours:,}", "" if theirs is None else f"{theirs:,}")


def _worded(name: str, ours: str, theirs: str) -> Fact:
    return Fact(name, ours, theirs, ours == theirs if ours and theirs else None)
