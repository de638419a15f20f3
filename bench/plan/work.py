"""How much each job has to do, in images through the network: what the estimate of the time left rests on."""

from bench import datasets
from bench.datasets.base import DatasetFacts
from bench.keys import digest
from bench.plan.spec import DataRef, FitSpec, Job, PretrainSpec

BACKWARD = 2.0  # a backward pass costs about two forward passes


class Estimator:
    """Remembers the sizes of datasets between calls."""

    def __init__(self) -> None:
        self._facts: dict[str, DatasetFacts] = {}

    def work(self, job: Job) -> float:
        """Forward-pass equivalents of one record of the job."""
        spec = job.spec
        facts = self._facts_of(spec.data)
        if isinstance(spec, PretrainSpec):
            return spec.epochs * facts.num_train * (1 + BACKWARD)
        training = spec.training
        samples = training.steps * training.batch_size * (1 + BACKWARD * _trained_share(spec))
        if job.kind == "final":
            return samples + training.evaluations * facts.num_test
        return samples * max(1, spec.search.folds)

    def _facts_of(self, ref: DataRef) -> DatasetFacts:
        key = digest(ref)
        if key not in self._facts:
            entry = datasets.find(ref.name)
            self._facts[key] = entry.facts(entry.options.model_validate(ref.options))
        return self._facts[key]


def _trained_share(spec: FitSpec) -> float:
    """Share of the network that backward passes go through, units taken as equal."""
    return sum(
        phase.share * (1 - next(unit for unit, rate in enumerate(phase.rates) if rate) / len(phase.rates))
        for phase in spec.recipe.phases
    )
