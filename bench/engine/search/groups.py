"""Trials that train together: one by itself, its folds one after another; or a fleet of several."""

from collections.abc import Iterator, Sequence

from bench.engine.common.context import Context
from bench.engine.common.records import guarded
from bench.engine.common.sources import setting_for
from bench.engine.fleet.calibrate import FleetChoice
from bench.engine.fleet.together import FleetStream, fleet_session
from bench.engine.reuse.stages import stages_for
from bench.engine.search.race import Race, Trial
from bench.engine.search.soup import keep_ingredient
from bench.engine.train.loop import Session
from bench.engine.train.solo import Solo

OWN_IMAGES = 500  # on which a trial is asked whether it has collapsed; a final is asked on more


class Alone:
    """A trial that fails leaves a record, and the others go on."""

    def __init__(self, trial: Trial, context: Context) -> None:
        spec, begin = trial.spec, trial.begin
        self.trial, self.context = trial, context
        stages = stages_for(spec, begin, [trial.race.images], context, trial.race.scored)
        self.sessions = []
        for stream in trial.race.streams:
            setting = setting_for(spec, begin, stream, context)
            team = Solo(begin.network, spec.procedure, trial.hyper, begin.renew, setting)
            self.sessions.append(Session(team, stages, [stream]))
        trial.seats = [(session, 0) for session in self.sessions]

    @property
    def racing(self) -> list[Trial]:
        return [self.trial] if self.trial.is_racing else []

    def advance(self, end: int, looks: set[int]) -> None:
        self.trial.failed = guarded(lambda: self._advance(end, looks))

    def _advance(self, end: int, looks: set[int]) -> None:
        for session in self.sessions:
            session.advance(end, looks)
            if session.is_over():
                return  # one fold diverged, so the trial has
            if end == session.training.steps:
                session.look_at_own(OWN_IMAGES)
                if session.recipe.soup is not None:
                    self.trial.ingredients.append(keep_ingredient(session, self.trial.race.job.key, self.context))

    def shrink(self) -> None:
        """The weights and optimizers of a trial that has left are needed no more."""
        if not self.racing:
            self.sessions = []


class Together:
    """A fleet of trials of one or several searches. Its failure is raised, because no single trial can be blamed."""

    def __init__(self, rows: list[list[Trial]], context: Context) -> None:
        """`rows`: of each search as many trials. One that has left may stay as ballast, since a fleet is
        rectangular."""
        self.rows = rows
        first = rows[0][0]
        learned, scored = [row[0].race.images for row in rows], [one for row in rows for one in row[0].race.scored]
        stages = stages_for(first.spec, first.begin, learned, context, scored)
        places: list[FleetStream] = []
        seats: list[range] = []
        for row in rows:
            streams = row[0].race.streams
            seats.append(range(len(places), len(places) + len(streams)))
            places += [FleetStream(stream, row[0].begin, [trial.hyper for trial in row]) for stream in streams]
        self.session: Session | None = fleet_session(first.spec.procedure, stages, places)
        for row, streams_of_row in zip(rows, seats, strict=True):
            for member, trial in enumerate(row):
                trial.member = member
                trial.seats = [(self.session, stream) for stream in streams_of_row]

    @property
    def racing(self) -> list[Trial]:
        return [trial for row in self.rows for trial in row if trial.is_racing]

    def advance(self, end: int, looks: set[int]) -> None:
        assert self.session is not None
        self.session.advance(end, looks)
        if end == self.session.training.steps:
            self.session.look_at_own(OWN_IMAGES)

    def shrink(self) -> None:
        """To the width of the search that keeps most of its trials."""
        if not self.racing:
            self.session, self.rows = None, []
            return
        assert self.session is not None
        racing = [[member for member, trial in enumerate(row) if trial.is_racing] for row in self.rows]
        width = max(map(len, racing))
        if width == len(self.rows[0]):
            return
        members = []
        for row, stay in zip(self.rows, racing, strict=True):
            ballast = [member for member in range(len(row)) if member not in stay][: width - len(stay)]
            members.append(sorted(stay + ballast))
        self.rows = [[row[member] for member in stay] for row, stay in zip(self.rows, members, strict=True)]
        for row in self.rows:
            for member, trial in enumerate(row):
                trial.member = member
        folds = len(self.session.streams) // len(self.rows)
        self.session.keep([stay for stay in members for _ in range(folds)])


Group = Alone | Together


def groups_of(races: Sequence[Race], choice: FleetChoice, context: Context) -> Iterator[tuple[list[Race], list[Group]]]:
    """Races that are run at once, and the groups that train their trials."""
    if choice.width < 2 or sum(len(race.trials) * len(race.streams) for race in races) < 2:
        for race in races:
            yield [race], [Alone(trial, context) for trial in race.trials]
    elif len({len(race.trials) for race in races}) > 1:
        for race in races:
            yield [race], _fleets([race], choice, context)
    else:
        yield list(races), _fleets(races, choice, context)


def _fleets(races: Sequence[Race], choice: FleetChoice, context: Context) -> list[Group]:
    """A fleet in which every trial has its record is not trained again."""
    width = max(1, choice.width // sum(len(race.streams) for race in races))
    found: list[Group] = []
    done: list[list[list[Trial]]] = []
    for first in range(0, len(races[0].trials), width):
        rows = [race.trials[first : first + width] for race in races]
        if any(race.read(trial.number) is None for race, row in zip(races, rows, strict=True) for trial in row):
            found.append(Together(rows, context))
        else:
            done.append(rows)
    for rows in done:
        for race, row in zip(races, rows, strict=True):
            race.scratch(row)
    return found
