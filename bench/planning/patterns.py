"""Which parts of a network a plan leaves frozen, so that one pass over the images can serve all of its cells."""

from collections.abc import Iterable

from bench.keys import digest
from bench.spec.job import FitSpec, Job
from bench.spec.recipe import Learning

Pattern = Learning


def frozen_patterns(jobs: Iterable[Job]) -> dict[str, tuple[Pattern, ...]]:
    """By network and data: the patterns that leave a stem frozen."""
    found: dict[str, dict[Pattern, None]] = {}
    for job in jobs:
        spec = job.spec
        if not isinstance(spec, FitSpec) or spec.recipe.own_head is not None or not has_one_body(spec):
            continue
        patterns = found.setdefault(pattern_group(spec), {})
        patterns.update(dict.fromkeys(spec.recipe.touched(phase) for phase in range(len(spec.recipe.phases))))
    return {group: tuple(p for p in patterns if not p.units[0]) for group, patterns in found.items()}


def pattern_group(spec: FitSpec) -> str:
    """What meets the same images in the same way."""
    return digest([spec.backbone, spec.recipe.adapt, spec.data.as_read, spec.pipeline, spec.training.precision])


def has_one_body(spec: FitSpec) -> bool:
    """All but the head is pretrained, so it is the same in every repeat, not drawn anew."""
    recipe = spec.recipe
    return recipe.init == "pretrained" and recipe.reinit is None and spec.backbone.weights.origin != "random"
