"""How much each job has to do, in images through the network: what the order of jobs and the ETA rest on."""

import math

from bench.plan.spec import FitSpec, Job, PretrainSpec

BACKWARD = 2.0  # a backward pass costs about two forward passes


def work_per_record(job: Job, num_train: int, num_test: int) -> float:
    """Forward-pass equivalents of one record of the job."""
    spec = job.spec
    if isinstance(spec, PretrainSpec):
        return spec.epochs * num_train * (1 + BACKWARD)
    training = spec.training
    samples = training.steps * training.batch_size * (1 + BACKWARD * _trained_share(spec))
    if job.kind == "final":
        return samples + training.evaluations * num_test
    return samples * max(1, spec.search.folds)


def _trained_share(spec: FitSpec) -> float:
    """Share of the network that a backward pass goes through, units taken as equal."""
    share = 0.0
    for phase in spec.recipe.phases:
        lowest = next(unit for unit, rate in enumerate(phase.rates) if rate)
        share += phase.share * (1 - lowest / len(phase.rates))
    return math.ceil(share * 100) / 100
