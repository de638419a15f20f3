"""How much each job has to do, in examples through the network: what the estimate of the time left rests on."""

from collections.abc import Mapping
from dataclasses import replace

from bench.datasets.base import DatasetFacts
from bench.datasets.sampling import Division
from bench.keys import digest
from bench.planning.halving import step_share
from bench.planning.plan import DataSource, Plan
from bench.spec.job import FitSpec, Job, PretrainSpec
from bench.spec.refs import DataRef, Training

BACKWARD = 2.0  # a backward pass costs about two forward passes


class Estimator:
    def __init__(
        self, sources: Mapping[str, DataSource], partition: bool = True, divisions: Mapping[str, Division] | None = None
    ) -> None:
        """`partition`: whether frozen parts are computed once. `divisions`: those of lists."""
        self._sources = sources
        self._partition = partition
        self._divisions = divisions or {}
        self._average: dict[str, float] = {}  # by job: asked again at each of its records

    @classmethod
    def of(cls, plan: Plan) -> "Estimator":
        return cls(plan.sources, plan.loaded.suite.engine.partition, plan.lists.divisions)

    def work(self, job: Job, steps: float | None = None) -> float:
        """Forward-pass equivalents of one record of the job: of a trial that trained for so many steps, or of an
        average one of its search."""
        if steps is not None:
            return self._count(job, steps)
        if job.key not in self._average:
            self._average[job.key] = self._count(job, None)
        return self._average[job.key]

    def _count(self, job: Job, steps: float | None) -> float:
        spec = job.spec
        facts = self._facts_of(spec.data)
        if isinstance(spec, PretrainSpec):
            return spec.epochs * facts.num_train * (1 + BACKWARD)
        training = spec.training
        if spec.recipe.own_head is not None:
            return facts.num_test + facts.num_shift
        if spec.recipe.solve is not None:  # one pass of all images through the head, as the most it can be
            scored = 0 if job.kind == "search" else facts.num_test + facts.num_shift
            return (facts.num_train + scored) * _live_share(spec, 0)
        images = training.batch_size * self._passes(spec)
        if job.kind in ("final", "unchosen"):
            last = _live_share(spec, len(spec.recipe.phases) - 1) if self._partition else 1.0
            scored = training.evaluations * facts.num_test + facts.num_shift
            return training.steps * images + scored * last
        if steps is None:
            steps = training.steps * step_share(spec.search, training.steps)
        return steps * images * max(1, spec.search.folds)

    def _passes(self, spec: FitSpec) -> float:
        """Passes through the whole network that one training example costs, mean over the phases."""
        once = self._partition and not changes_anew(spec.training)
        return sum(
            phase.share * ((_live_share(spec, number) if once else 1.0) + BACKWARD * _share_from(phase.rates))
            for number, phase in enumerate(spec.recipe.phases)
        )

    def _facts_of(self, ref: DataRef) -> DatasetFacts:
        facts = self._sources[digest(ref.as_read)].facts
        part = self._divisions.get(str(ref.split))
        return facts if part is None else replace(facts, num_train=len(part.train), num_test=len(part.test))


def changes_anew(training: Training) -> bool:
    """Whether training examples change in more ways than can be kept, so that frozen parts see them in every step."""
    without_end = training.text is not None or training.sound is not None
    return (training.shift > 0 or training.crop > 0 or without_end) and not training.views


def _live_share(spec: FitSpec, phase: int) -> float:
    """Share of the network from the first unit that has learned by then: what lies before can be computed once."""
    return _share_from(spec.recipe.touched(phase).units)


def _share_from(moves: tuple[float, ...] | tuple[bool, ...]) -> float:
    """Of a network whose units are taken as equal, what lies behind the first that moves."""
    return 1 - next(unit for unit, rate in enumerate(moves) if rate) / len(moves)
