"""What a final's record tells of its data: how many of its images were seen before, and how they differ from the public
set of that name."""

from dataclasses import asdict

from bench import datasets
from bench.datasets.overlap import Overlap, num_in_two_classes, num_shift_in_train, num_test_in_train, overlap
from bench.engine.common.context import Context
from bench.engine.common.start import pretraining_of
from bench.engine.train.faults import pass_on
from bench.keys import digest
from bench.modalities import MODALITIES
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef, Weights
from bench.store.results import SeenBefore, SeenImages


def seen_before(spec: FitSpec, context: Context) -> SeenBefore:
    """The same for all finals of one target and one network, so it is found out once."""
    key = digest([spec.data, spec.backbone.weights])
    if key not in context.seen_before:
        try:
            context.seen_before[key] = _look(spec, context)
        except Exception as error:  # a failure here must not cost the score
            pass_on(error)
            context.notice(f"{spec.data.name}: nothing is known of what was seen before: {error}")
            context.seen_before[key] = SeenBefore()
    return context.seen_before[key]


def _look(spec: FitSpec, context: Context) -> SeenBefore:
    target, split = context.stored(spec.data), context.lists.division(spec.data.split)
    public = datasets.find(spec.data.name).public if spec.data.classes is None else None  # a part is told as one
    size = len(target.classes), len(target.train.labels), len(target.test.labels)
    further = {} if target.shift is None else {"shift_in_train": num_shift_in_train(target, split)}
    doubtful = num_in_two_classes(target)
    return SeenBefore(
        test_in_train=num_test_in_train(target, split),
        **further,
        **({"in_two_classes": doubtful} if doubtful else {}),
        unlike_public=public.difference(*size, MODALITIES[target.train.modality].example) if public is not None else "",
        overlap=[
            SeenImages(dataset=learned.name, **_counts(overlap(context.stored(learned), target, split)))
            for learned in _learned_before(spec.backbone.weights, context)
        ],
    )


def _counts(found: Overlap) -> dict[str, int]:
    """Those of a further split where there is one."""
    return {name: number for name, number in asdict(found).items() if found.num_shift or "shift" not in name}


def _learned_before(weights: Weights, context: Context) -> list[DataRef]:
    """What pretrainings inside the suite made these weights of, the first one first."""
    found: list[DataRef] = []
    while weights.origin == "pretrain":
        learned = pretraining_of(weights, context).learned
        found.insert(0, learned.data)
        weights = learned.backbone.weights
    return found
