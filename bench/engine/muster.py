"""Who trains with whom: entrants of a race put into squads, repeats into one session."""

from collections.abc import Iterator, Sequence

import torch

from bench.engine.calibrate import Choice, choose_form, form_maker
from bench.engine.context import Context
from bench.engine.fit import Start
from bench.engine.fleet import Fleet
from bench.engine.images import Images
from bench.engine.loop import Session, Stream
from bench.engine.optimize import Hyper
from bench.engine.origins import setting_for
from bench.engine.race import Entrant, Lane, Squad
from bench.engine.stage import Stages
from bench.engine.staging import stages_for
from bench.engine.supply import Inputs, Part
from bench.engine.team import Solo
from bench.spec.job import FitSpec

EXAMPLES = 4  # images that a form is tried out on


def choose(lanes: Sequence[Lane], context: Context) -> Choice:
    first = lanes[0]
    if first.spec.varied is not None:  # no two trials train the same thing
        return Choice()
    stages = stages_for(first.spec, first.begin, [lane.images for lane in lanes], context)
    return choose_form(first.spec, first.begin, stages, first.images, context)


def muster(lanes: Sequence[Lane], choice: Choice, context: Context) -> Iterator[tuple[list[Lane], list[Squad]]]:
    """Races, one after another: lanes, and the squads that they put up."""
    total = sum(len(lane.entrants) * len(lane.streams) for lane in lanes)
    streams = [stream for lane in lanes for stream in lane.streams]
    if choice.width < 2 or total < 2 or not have_equal_batches(streams, lanes[0].spec):
        for lane in lanes:
            yield [lane], [_alone(lane, entrant, context) for entrant in lane.entrants]
    elif len({len(lane.entrants) for lane in lanes}) > 1:  # a fleet is rectangular
        for lane in lanes:
            yield [lane], _fleets([lane], choice, context)
    else:
        yield list(lanes), _fleets(lanes, choice, context)


def have_equal_batches(streams: Sequence[Stream], spec: FitSpec) -> bool:
    """Where a stream has fewer images than a batch, its batches are smaller, and no other stream's may be."""
    return len({min(spec.training.batch_size, len(stream.images)) for stream in streams}) == 1


def fallen(spec: FitSpec, choice: Choice, error: Exception) -> str:
    return f"{spec.backbone.name}: {type(error).__name__} in a fleet; now {choice.width} at a time"


def narrower(choice: Choice, error: Exception, num_replicas: int) -> Choice:
    """Half as many where memory was short; else each by itself, so that a fault is one training's."""
    if isinstance(error, torch.OutOfMemoryError):
        return Choice(min(choice.width, num_replicas) // 2, choice.form)
    return Choice()


def _alone(lane: Lane, entrant: Entrant, context: Context) -> Squad:
    spec, begin = lane.made_for(entrant)
    what = (spec.recipe, spec.training)
    stages = stages_for(spec, begin, [lane.images], context)
    sessions = [
        Session(
            Solo(begin.network, what, entrant.hyper, begin.renew, setting_for(spec, begin, stream, context)),
            stages, what, [stream],
        )  # fmt: skip
        for stream in lane.streams
    ]
    entrant.seats = [(session, 0) for session in sessions]
    return Squad(sessions, [[entrant]], is_fleet=False)


def _fleets(lanes: Sequence[Lane], choice: Choice, context: Context) -> list[Squad]:
    streams = [(lane, stream) for lane in lanes for stream in lane.streams]
    width = max(1, choice.width // len(streams))
    entrants = len(lanes[0].entrants)
    return [
        _fleet(lanes, range(start, min(start + width, entrants)), context)
        for start in range(0, entrants, width)
    ]


def _fleet(lanes: Sequence[Lane], members: range, context: Context) -> Squad:
    slots = [[lane.entrants[m] for m in members] for lane in lanes]
    streams = [stream for lane in lanes for stream in lane.streams]
    hypers = [[e.hyper for e in slot] for lane, slot in zip(lanes, slots, strict=True) for _ in lane.streams]
    begins = [lane.begin for lane in lanes for _ in lane.streams]
    first = lanes[0]
    stages = stages_for(first.spec, first.begin, [lane.images for lane in lanes], context)
    session = fleet_session(first.spec, stages, (streams, begins, hypers))
    place = 0
    for lane, slot in zip(lanes, slots, strict=True):
        for member, entrant in enumerate(slot):
            entrant.member = member
            entrant.seats = [(session, place + fold) for fold in range(len(lane.streams))]
        place += len(lane.streams)
    return Squad([session], slots, is_fleet=True)


def fleet_session(
    spec: FitSpec, stages: Stages, rows: tuple[list[Stream], list[Start], list[list[Hyper]]]
) -> Session:
    """`rows`: for each stream its images, the start of its members, and their points."""
    streams, begins, hypers = rows
    what = (spec.recipe, spec.training)

    def examples() -> Inputs:
        """Of the phase at hand."""
        images: Images = streams[0].images
        index = torch.arange(EXAMPLES, device=images.device) % len(images)
        return tuple(value[0] for value in session.stage.plain.batches([Part(images, index)]))

    fleet = Fleet(
        begins[0].network, what, hypers, [begin.state for begin in begins], form_maker(examples)
    )
    session = Session(fleet, stages, what, streams)
    return session
