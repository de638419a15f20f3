"""A cohort of trials, side by side: each rung trains those still in the race, then the better ones go on.

A lane is one search's share of it (one repeat). Lanes of the same cell may race in one fleet; who goes on is decided in
each lane by itself.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from bench.engine.fit import Finished, Rung, Start, describe_trial, logical_cost
from bench.engine.images import Images
from bench.engine.loop import Outcome, Session, Stream, evaluation_steps
from bench.engine.measure import Meter, Spent
from bench.engine.optimize import Hyper
from bench.plan.halving import num_kept, rungs
from bench.plan.ranking import ranking
from bench.spec.job import FitSpec
from bench.spec.recipe import StopEarly

OWN_IMAGES = 500  # on which a trial is asked whether it has collapsed; a final is asked on more


@dataclass(eq=False)
class Entrant:
    """One trial in the race."""

    number: int
    hyper: Hyper
    seats: list[tuple[Session, int]] = field(default_factory=list)  # for each fold: a session and a stream of it
    member: int = 0  # its place in those streams
    rungs: list[Rung] = field(default_factory=list)
    spent: Spent = field(default_factory=Spent)
    failed: Finished | None = None
    left: list[str] = field(default_factory=list)  # for each fold the digest of its last weights, where they are kept
    own: tuple[FitSpec, Start] | None = None  # where its options make it another training than its lane's others

    def start_over(self) -> None:
        self.seats, self.member, self.rungs, self.failed, self.left = [], 0, [], None, []

    @property
    def outcomes(self) -> list[Outcome]:
        return [session.outcomes[stream][self.member] for session, stream in self.seats]

    @property
    def has_diverged(self) -> bool:
        return any(outcome.diverged_at is not None for outcome in self.outcomes)


@dataclass(eq=False)
class Lane:
    spec: FitSpec
    begin: Start
    images: Images  # all that it may see
    streams: list[Stream]  # one for each fold, of these images
    entrants: list[Entrant]
    num_started: int  # trials of the cohort, those with a record included
    gone_on: Callable[[int], int]  # steps -> how many went on after so many that are not among the entrants

    def made_for(self, entrant: Entrant) -> tuple[FitSpec, Start]:
        return entrant.own or (self.spec, self.begin)


@dataclass(eq=False)
class Squad:
    """Entrants that train together: one alone, its folds one after another; or a fleet of several."""

    sessions: list[Session]
    slots: list[list[Entrant]]  # of each lane, by the fleet's members; who has left may keep a slot as ballast
    is_fleet: bool

    @property
    def entrants(self) -> list[Entrant]:
        return [entrant for lane in self.slots for entrant in lane]


class Hooks(Protocol):
    """What a race tells the world."""

    def stopping(self) -> bool: ...

    def begins(self, entrants: Sequence[Entrant]) -> None: ...

    def ends(self, lane: Lane, entrant: Entrant, finished: Finished) -> None: ...

    def guarded(self, run: Callable[[], None]) -> Finished | None:
        """What an exception comes to as a record; None where there was none."""
        ...

    def through(self, entrant: Entrant, session: Session) -> None:
        """A fold of a trial that trains alone stands where its rung ends."""
        ...

    def meter(self) -> Meter: ...


def run_race(lanes: Sequence[Lane], squads: Sequence[Squad], hooks: Hooks) -> bool:
    """False: told to stop before the end. One that trains alone and fails leaves a record; a fleet's failure is
    raised, and nothing of its present rung is lost but time."""
    spec = lanes[0].spec
    ends = rungs(spec.search, spec.training.steps)
    looks = moments_of(spec)
    begun = False
    for number, end in enumerate(ends):
        for squad in squads:
            going = [entrant for entrant in squad.entrants if any(entrant in lane.entrants for lane in lanes)]
            if not going:
                continue
            if begun and hooks.stopping():
                return False
            begun = True
            _advance(squad, going, (end, looks), hooks)
            for lane in lanes:
                _tell(lane, [entrant for entrant in going if entrant in lane.entrants], (end, looks), hooks)
            _let_go(squad, lanes)
        for lane in lanes:
            _judge(lane, num_kept(lane.num_started, number), end, hooks)
        for squad in squads:
            _let_go(squad, lanes)
            _thin_out(squad, {entrant for lane in lanes for entrant in lane.entrants})
    return True


def moments_of(spec: FitSpec) -> set[int]:
    """After so many steps a trial could stop; none where it goes to the end."""
    early = spec.recipe.stop_early
    return evaluation_steps(spec.training.steps, early.moments) if early is not None else set()


def _advance(squad: Squad, going: list[Entrant], course: tuple[int, set[int]], hooks: Hooks) -> None:
    """`course`: where the rung ends, and moments at which a trial could stop."""
    end, looks = course
    hooks.begins(going)
    meter = hooks.meter()

    def run() -> None:
        for session in squad.sessions:
            session.advance(end, {end} | looks)
            if session.is_over() and not squad.is_fleet:
                return  # one fold diverged, so the trial has
            if end == session.training.steps:
                session.look_at_own(OWN_IMAGES)
            if not squad.is_fleet:
                hooks.through(going[0], session)

    failed = None
    if squad.is_fleet:
        run()
    else:
        failed = hooks.guarded(run)
    spent = meter.read()
    for entrant in going:
        entrant.spent = entrant.spent.plus(spent, len(going))
        entrant.failed = failed


def _tell(lane: Lane, trained: list[Entrant], course: tuple[int, set[int]], hooks: Hooks) -> None:
    """Who is through, or can go no further, is told of at once: what is on disk need not be done again."""
    end, looks = course
    for entrant in trained:
        over = entrant.failed is not None or entrant.has_diverged
        if not over:
            entrant.rungs.append(_rung(end, entrant.outcomes, looks, lane.spec.recipe.stop_early))
        if over or end == lane.spec.training.steps:
            _leave(lane, entrant, hooks)


def _judge(lane: Lane, num_places: int, end: int, hooks: Hooks) -> None:
    """Who goes on to the next rung."""
    standing = sorted(lane.entrants, key=lambda e: ranking(e.rungs[-1].score, e.rungs[-1].loss, e.hyper.lr))
    places = max(0, num_places - lane.gone_on(end))
    for entrant in sorted(standing[places:], key=lambda e: e.number):
        _leave(lane, entrant, hooks)


def _let_go(squad: Squad, lanes: Sequence[Lane]) -> None:
    """Weights and optimizers of those who have left are not needed any more."""
    if not any(entrant in lane.entrants for entrant in squad.entrants for lane in lanes):
        squad.sessions, squad.slots = [], []


def _leave(lane: Lane, entrant: Entrant, hooks: Hooks) -> None:
    hooks.ends(lane, entrant, entrant.failed or _finished(lane, entrant))
    lane.entrants.remove(entrant)
    entrant.seats = []


def _rung(end: int, outcomes: Sequence[Outcome], looks: set[int], early: StopEarly | None) -> Rung:
    """How a trial stands; where it may stop early, how it would stand if it had stopped at its best moment so far.
    Of equal moments the first one."""
    if early is None:
        return _at(end, outcomes)
    moments = [_at(step, outcomes) for step in outcomes[0].seen if step in looks] or [_at(end, outcomes)]
    if early.by == "loss":
        best = min(moments, key=lambda r: (r.loss if r.loss is not None else math.inf, r.step))
    else:
        best = min(moments, key=lambda r: ranking(r.score, r.loss, r.step))
    return replace(best, step=end, stop=best.step)


def _at(step: int, outcomes: Sequence[Outcome]) -> Rung:
    """Over all validation labels: every fold counts by its size."""
    scored = [outcome.seen[step] for outcome in outcomes]
    num = sum(one.num for one in scored)
    losses = [one.loss * one.num for one in scored if one.loss is not None]
    loss = sum(losses) / num if len(losses) == len(scored) else None
    return Rung(step, sum(one.correct for one in scored) / num, loss)


def _finished(lane: Lane, entrant: Entrant) -> Finished:
    spec, begin = lane.made_for(entrant)
    ran = [outcome for outcome in entrant.outcomes if outcome.steps]
    lost = next((number for number, outcome in enumerate(ran) if outcome.diverged_at is not None), len(ran))
    ran = ran[: lost + 1]  # on its own it would have stopped there
    cost = {
        "logical": logical_cost(ran, begin.network, spec.recipe),
        "measured": entrant.spent.as_dict(),
        "engine": entrant.seats[0][0].told(),
    }
    told = describe_trial(entrant.hyper, ran, entrant.rungs, cost, spec.data.num_classes)
    if entrant.left and told.status == "ok":
        return replace(told, result={**told.result, "ingredients": entrant.left})
    return told


def _thin_out(squad: Squad, going: set[Entrant]) -> None:
    """A fleet stays rectangular: a lane that lost more than the others keeps some of its lost as ballast."""
    if not squad.is_fleet or not squad.slots:
        return
    kept = [[m for m, entrant in enumerate(lane) if entrant in going] for lane in squad.slots]
    width = max(len(members) for members in kept)
    if width in (0, len(squad.slots[0])):
        return
    members = [
        sorted([*mine, *[m for m in range(len(lane)) if m not in mine][: width - len(mine)]])
        for lane, mine in zip(squad.slots, kept, strict=True)
    ]
    squad.slots = [[lane[m] for m in mine] for lane, mine in zip(squad.slots, members, strict=True)]
    for lane in squad.slots:
        for member, entrant in enumerate(lane):
            entrant.member = member
    (session,) = squad.sessions
    folds = len(session.streams) // len(members)
    session.keep([mine for mine in members for _ in range(folds)])
