"""Which jobs may train together in one process: the repeats of one cell."""

from collections.abc import Iterable
from dataclasses import replace

from bench.keys import digest
from bench.plan.patterns import has_one_body
from bench.spec.job import FitSpec, Job


def bundles(jobs: Iterable[Job], is_gpu: bool) -> list[tuple[Job, ...]]:
    """The jobs, those that may train together put together, in the order of the first of each."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        spec = job.spec
        fits = isinstance(spec, FitSpec) and _share_what_is_frozen(spec) and (is_gpu or _trains_head_only(spec))
        name = digest([job.kind, replace(spec, repeat=0)]) if fits and isinstance(spec, FitSpec) else job.key
        found.setdefault(name, []).append(job)
    return [tuple(group) for group in found.values()]


def _trains_head_only(spec: FitSpec) -> bool:
    """On a CPU only heads gain from each other's company; the rest is better spread over the cores."""
    return not any(rate for phase in spec.recipe.phases for rate in phase.rates[:-1])


def _share_what_is_frozen(spec: FitSpec) -> bool:
    """What stays frozen, if anything, is the same in every repeat."""
    recipe = spec.recipe
    nothing_frozen = all(recipe.touched(len(recipe.phases) - 1).units) and recipe.tensors == "all"
    return nothing_frozen or has_one_body(spec)
