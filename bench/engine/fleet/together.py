"""Trainings that share one session: when they can, how they are put together, and what happens when that fails."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from bench.engine.common.start import Start
from bench.engine.fleet.calibrate import FleetChoice, form_maker
from bench.engine.fleet.fleet import Fleet
from bench.engine.train.faults import is_out_of_memory
from bench.engine.train.inputs import Inputs, Share
from bench.engine.train.loop import Session, Stream
from bench.engine.train.optimize import Hyper
from bench.engine.train.stage import Stage, Stages
from bench.spec.job import FitSpec, Procedure

EXAMPLES = 4  # images that a form is tried out on


@dataclass(frozen=True)
class FleetStream:
    """One stream of a fleet and the members that learn from it."""

    stream: Stream
    begin: Start
    hypers: list[Hyper]  # one for each member


def fleet_session(procedure: Procedure, stages: Stages, rows: Sequence[FleetStream]) -> Session:
    def examples(stage: Stage) -> Inputs:
        images = rows[0].stream.images
        index = torch.arange(EXAMPLES) % len(images)
        return tuple(value[0] for value in stage.plain.batches([Share(images, index)]))

    fleet = Fleet(
        rows[0].begin.network, procedure, [row.hypers for row in rows], [row.begin.state for row in rows],
        form_maker(examples),
    )  # fmt: skip
    return Session(fleet, stages, [row.stream for row in rows])


def have_equal_batches(streams: Sequence[Stream], batch_size: int) -> bool:
    """A stream with fewer images than a batch has smaller batches; then those of all others must be as small."""
    return len({min(batch_size, len(stream.images)) for stream in streams}) == 1


def narrower(choice: FleetChoice, error: Exception, num_replicas: int) -> FleetChoice:
    """Half as many where memory was short; else each by itself, so that a fault is one training's."""
    if is_out_of_memory(error):
        return FleetChoice(min(choice.width, num_replicas) // 2, choice.form)
    return FleetChoice()


def why_narrower(spec: FitSpec, choice: FleetChoice, error: Exception) -> str:
    return f"{spec.backbone.name}: {type(error).__name__} in a fleet; now {choice.width} at a time"
