"""Which weights a cell begins with, and the pretrainings that make them."""

from dataclasses import dataclass, field

from bench.planning.plan import Lesson
from bench.planning.resolve import ResolvedBackbone, ResolvedStage, ResolvedStrategy, moved_by, pipeline
from bench.spec.job import Job, PretrainSpec
from bench.spec.refs import Weights

STAGE_SEED = 0  # of what an intermediate stage draws; the target's repeats have seeds of their own


@dataclass(frozen=True)
class Origin:
    weights: Weights
    pretrainings: tuple[Job, ...] = field(default=())  # one after another; the last one makes the weights
    lessons: tuple[Lesson, ...] = field(default=())  # what each of them learns

    @property
    def needs(self) -> tuple[str, ...]:
        return tuple(job.key for job in self.pretrainings)


def origin_of(backbone: ResolvedBackbone, strategy: ResolvedStrategy, repeat: int) -> Origin:
    if strategy.recipe.init == "random":
        return Origin(Weights("random"))  # where the backbone comes from must not be in the key then
    pretraining, weights = backbone.pretraining(repeat), backbone.weights_of(repeat)
    own = (pretraining,) if pretraining is not None else ()
    lessons = (backbone.lesson,) if backbone.lesson is not None else ()
    origin = Origin(weights, own, lessons)
    for stage in strategy.stages:
        job = _stage(backbone, stage, origin)
        origin = Origin(
            Weights("pretrain", job.key), (*origin.pretrainings, job), (*origin.lessons, stage.lesson)
        )
    return origin


def _stage(backbone: ResolvedBackbone, stage: ResolvedStage, before: Origin) -> Job:
    """Its key names the weights that it begins with, so equal beginnings of two ways are the same jobs."""
    via = stage.via
    spec = PretrainSpec(
        data=stage.data.ref,
        backbone=backbone.ref(before.weights),
        pipeline=pipeline(backbone.spec, backbone.facts, stage.data.facts),
        epochs=via.epochs,
        batch_size=via.batch_size,
        optimizer=via.optimizer,
        lr=via.lr,
        weight_decay=via.weight_decay,
        shift=moved_by(via.shift, backbone.facts),
        seed=STAGE_SEED,
        deterministic=backbone.deterministic,
    )
    return Job("pretrain", spec, before.needs[-1:])
