"""A checkpoint as it came, scored by its own classifier: the whole network, once over the test split, in fp32.

Which row of the head stands for which class of the data set is a matter of names, or of an order that the suite gives.
"""

import dataclasses
from collections.abc import Sequence

from torch import Tensor

from bench.backbones.class_names import Names, hub_classes
from bench.engine.common.context import Context
from bench.engine.common.records import crashed, guarded, record_of, write
from bench.engine.common.sources import source_of
from bench.engine.common.start import Finished, of_shift, pretrained_state, pretraining_of, root_of, scored_once
from bench.engine.train.evaluate import Scored, score
from bench.engine.train.examples import Examples
from bench.engine.train.inputs import Direct, Inputs
from bench.engine.train.setting import SourceNetwork
from bench.errors import NotApplicable, nearest
from bench.network.weights import Loaded, sha256_of
from bench.spec.job import FitSpec, Job
from bench.spec.recipe import OwnHead
from bench.spec.refs import BackboneRef
from bench.store.results import Cost, FinalResult, Logical

SHOWN = 3  # classes that a message names


def score_own_heads(jobs: Sequence[Job], context: Context) -> bool:
    """False: asked to stop before the last one."""
    for job in jobs:
        if context.store.read(job.key) is not None:
            continue
        if context.stopping():
            return False
        context.begins([crashed(record_of(job, context))], 1)
        finished = guarded(lambda job=job: _finish(job, context))  # type: ignore[misc]
        write(context.store, record_of(job, context, finished), context, finished.predictions)
    return True


def _finish(job: Job, context: Context) -> Finished:
    spec = job.spec
    assert isinstance(spec, FitSpec)
    assert spec.recipe.own_head is not None
    meter = context.meter()
    source, data = source_of(spec, context), context.data(spec.data, spec.pipeline)
    names = _names_of_rows(spec.recipe.own_head, root_of(spec.backbone, context), context)
    rows = rows_of(data.classes, spec.recipe.own_head, names, source.num_classes)
    scored, *further = (_score(source, rows, spec, images) for images in data.scored)
    state = pretrained_state(root_of(spec.backbone, context), context)
    assert state is not None
    result = FinalResult(
        trial=None,
        lr_edge="",
        num_labels=0,
        rows=rows,
        num_rows=source.num_classes,
        among=spec.recipe.own_head.among,
        **scored_once(scored, data),
        **of_shift(further[0] if further else None),
        weights=dataclasses.asdict(Loaded(len(state), len(state), (), sha256_of(state))),
    )
    size = sum(p.numel() for p in source.network.module.parameters())
    logical = Logical(steps=0, samples=0, flops=0, trainable_params=0, added_params=0, total_params=size)
    return Finished("ok", result, Cost(logical=logical, measured=meter.read()), predictions=scored.predictions)


def _score(source: SourceNetwork, rows: Sequence[int], spec: FitSpec, images: Examples) -> Scored:
    """The rows of the data set's classes come first, in its order, so that labels are what they were."""
    assert spec.recipe.own_head is not None
    others = sorted(set(range(source.num_classes)) - set(rows)) if spec.recipe.own_head.among == "all" else []
    order = [*rows, *others]

    def logits_of(inputs: Inputs) -> Tensor:
        logits: Tensor = source.network.module(inputs[0][0])  # in evaluation
        return logits[None, :, order]

    (scored,) = score(logits_of, images, Direct(spec.pipeline))
    return scored.among(len(rows))


def _names_of_rows(own: OwnHead, root: BackboneRef, context: Context) -> list[Names] | None:
    """As the suite gives them, else as the weights' origin implies; None: unknown."""
    if isinstance(own.classes, tuple) and own.classes and isinstance(own.classes[0], str):
        return [(str(name),) for name in own.classes]
    if own.classes is not None:
        return None
    match root.weights.origin:
        case "pretrain":
            data = pretraining_of(root.weights, context).learned.data
            return [(name,) for name in context.stored(data).classes]
        case "hub":
            return hub_classes(root.weights.identity.partition("@")[0])
        case _:
            return None


def rows_of(classes: Sequence[str], own: OwnHead, names: Sequence[Names] | None, num_rows: int) -> list[int]:
    """For each class of the data set its row of the head. Raises NotApplicable with the reason. `names`: of each row's
    class."""
    if own.classes == "same":
        if num_rows != len(classes):
            reason = f"the head has {num_rows} rows, and the data set {len(classes)} classes"
            raise NotApplicable(f"`classes: same`: {reason}")
        return list(range(num_rows))
    if isinstance(own.classes, tuple) and not names:
        return _numbered([row for row in own.classes if isinstance(row, int)], len(classes), num_rows)
    if names is None:
        raise NotApplicable("what the rows of this head stand for is unknown: name its classes in the option "
                            "`classes`, in the head's order, or write `classes: same` where they are the data set's")
    if len(names) != num_rows:
        raise NotApplicable(f"{len(names)} names of classes for a head of {num_rows} rows")
    return _named(classes, names)


def _numbered(rows: list[int], num_classes: int, num_rows: int) -> list[int]:
    if len(rows) != num_classes:
        raise NotApplicable(f"`classes` has {len(rows)} rows of the head, and the data set {num_classes} classes")
    if len(set(rows)) < len(rows) or not all(0 <= row < num_rows for row in rows):
        raise NotApplicable(f"`classes` needs different rows of the head, from 0 to {num_rows - 1}")
    return rows


def _named(classes: Sequence[str], names: Sequence[Names]) -> list[int]:
    whole, parts = _index(names, split=False), _index(names, split=True)
    found = [whole.get(_plain(name)) or parts.get(_plain(name), []) for name in classes]
    absent = [name for name, rows in zip(classes, found, strict=True) if not rows]
    if absent:
        more = f" and {len(absent) - SHOWN} more" if len(absent) > SHOWN else ""
        raise NotApplicable(f"not among the head's classes: {', '.join(_near(name, parts) for name in absent[:SHOWN])}"
                            f"{more}; the option `classes` can say which row is which")
    for name, rows in zip(classes, found, strict=True):
        twice = [other for other, theirs in zip(classes, found, strict=True) if theirs[0] == rows[0]]
        if len(rows) > 1 or len(twice) > 1:
            reason = f"rows {rows[0]} and {rows[1]} of the head are both called {name!r}" if len(rows) > 1 else (
                f"{' and '.join(map(repr, twice))} are one class of the head, row {rows[0]}")
            raise NotApplicable(f"{reason}; give their rows in the option `classes`")
    return [rows[0] for rows in found]


def _index(names: Sequence[Names], split: bool) -> dict[str, list[int]]:
    """Plain name -> rows. `split`: at commas, which stand between synonyms, too."""
    found: dict[str, list[int]] = {}
    for row, own in enumerate(names):
        every = {_plain(part) for name in own for part in (name.split(",") if split else [name])}
        for name in every:
            found.setdefault(name, []).append(row)
    return found


def _plain(name: str) -> str:
    return " ".join(name.replace("_", " ").replace("-", " ").casefold().split())


def _near(name: str, known: dict[str, list[int]]) -> str:
    close = nearest(_plain(name), known)
    return f"{name!r} (nearest: {', '.join(map(repr, close))})" if close else repr(name)
