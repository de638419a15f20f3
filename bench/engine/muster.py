"""How the entrants of a race are put together into squads."""

from collections.abc import Iterator, Sequence

from bench.engine.context import Context
from bench.engine.loop import Session
from bench.engine.race import Entrant, Lane, Squad
from bench.engine.staging import stages_for
from bench.engine.team import Solo


def muster(lanes: Sequence[Lane], context: Context) -> Iterator[tuple[list[Lane], list[Squad]]]:
    """Who races whom, race after race."""
    for lane in lanes:
        yield [lane], [_alone(lane, entrant, context) for entrant in lane.entrants]


def _alone(lane: Lane, entrant: Entrant, context: Context) -> Squad:
    spec, begin = lane.spec, lane.begin
    what = (spec.recipe, spec.training)
    stages = stages_for(spec, begin, [lane.images], context)
    sessions = [
        Session(Solo(begin.network, what, entrant.hyper, begin.renew), stages, what, [stream])
        for stream in lane.streams
    ]
    entrant.seats = [(session, 0) for session in sessions]
    return Squad(sessions, [[entrant]])
