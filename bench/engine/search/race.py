"""A search as it goes on: the trials of its present cohort, how each stands after a rung, and which go on.

The records are the truth. A race that begins anew, after a restart or because a fleet failed, asks them which trials
have left already. `groups.py` trains the trials, `run.py` is the way through a search.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from bench.engine.common.context import Context, OnDevice
from bench.engine.common.history import Tried, as_tried
from bench.engine.common.records import guarded, trial_record, write
from bench.engine.common.start import Finished, Start, data_of, labelled_images, start, trial_streams, weights_of
from bench.engine.search.outcome import describe_trial, moments_of, standing
from bench.engine.search.points import ask_cohort, at_point
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Outcome, Session, Stream
from bench.engine.train.optimize import Hyper
from bench.planning.halving import num_kept
from bench.planning.ranking import ranking
from bench.spec.job import FitSpec, Job, trial_key
from bench.store import Record
from bench.store.results import Measured, Rung


@dataclass(eq=False)
class Trial:
    """One point of a search, in training."""

    race: "Race"
    number: int
    hyper: Hyper
    spec: FitSpec  # with the recipe of its point
    begin: Start
    seats: list[tuple[Session, int]] = field(default_factory=list)  # for each fold: a session and a stream of it
    member: int = 0  # its place in those streams
    rungs: list[Rung] = field(default_factory=list)
    failed: Finished | None = None
    ingredients: list[str] = field(default_factory=list)  # for each fold the digest of its weights, for a soup

    @property
    def spent(self) -> Measured:
        return self.race.spent.get(self.number, Measured())

    @property
    def is_racing(self) -> bool:
        return self in self.race.trials

    @property
    def outcomes(self) -> list[Outcome]:
        return [session.outcomes[stream][self.member] for session, stream in self.seats]

    def finished(self) -> Finished:
        """What its record is made of."""
        if self.failed is not None:
            return self.failed
        how = self.seats[0][0].engine_use()
        finished = describe_trial(self.hyper, self.spec, self.begin, self.outcomes, self.rungs)
        cost = finished.cost.model_copy(update={"measured": self.spent, "engine": how})
        saw = {"dataset_sha256": self.race.dataset_sha256, "weights": weights_of(self.begin)["weights"]}
        if self.ingredients and finished.status == "ok":
            saw["ingredients"] = self.ingredients
        return replace(finished, result=finished.result.model_copy(update=saw), cost=cost)


@dataclass(eq=False)
class Race:
    """One search and the trials of its present cohort. Searches of several repeats may train in one fleet; which
    trials go on is decided in each search by itself."""

    job: Job
    context: Context
    history: list[Tried] = field(default_factory=list)  # of the cohorts that are over
    trials: list[Trial] = field(default_factory=list)  # those that are racing
    dataset_sha256: str = ""  # of what `images` are taken from
    _points: dict[int, Hyper] = field(default_factory=dict)  # of the cohort, by the trials' numbers
    _networks: dict[int, tuple[FitSpec, Start]] = field(default_factory=dict)  # of those that had no record
    _start: Start | Finished | None = None  # the latest one; trials of one recipe share it
    _started: set[int] = field(default_factory=set)
    spent: dict[int, Measured] = field(default_factory=dict)  # by the trials' numbers, fleets that failed included

    @property
    def spec(self) -> FitSpec:
        assert isinstance(self.job.spec, FitSpec)
        return self.job.spec

    @cached_property
    def data(self) -> OnDevice:
        return data_of(self.spec, self.context)

    @cached_property
    def images(self) -> Examples:
        """All that the search may learn from."""
        self.dataset_sha256 = self.data.sha256
        return labelled_images(self.spec, self.data)

    @cached_property
    def streams(self) -> list[Stream]:
        """One for each fold."""
        return trial_streams(self.spec, self.images, self.data.validation, self.data.listed_for(self.spec))

    @property
    def scored(self) -> list[Examples]:
        """What its trials are scored on beside images that others learn from."""
        return [self.data.validation] if self.data.validation is not None else []

    def read(self, number: int) -> Record | None:
        return self.context.store.read(trial_key(self.job.key, number))

    def lacks(self, cohort: range) -> bool:
        return any(self.read(number) is None for number in cohort)

    def prepare(self, cohort: range) -> None:
        """Make the networks of the points that have no record. Where that fails, it is their record."""
        self._points = dict(zip(cohort, ask_cohort(self.spec, self.history, cohort), strict=True))
        self._networks, self.spent = {}, {}
        for number, hyper in self._points.items():
            if self.read(number) is not None:
                continue
            spec = at_point(self.spec, hyper)
            if self._start is None or spec.varied is not None:
                self.context.begins([trial_record(self.job, (number, hyper), self.context)], 0)
                self._start = guarded(lambda spec=spec: start(spec, self.context))  # type: ignore[misc]
            begin: Start | Finished | None = self._start
            assert begin is not None
            if isinstance(begin, Finished):
                self.write(number, begin)
            else:
                self._networks[number] = spec, begin

    def line_up(self, with_recorded: bool) -> None:
        """Every trial of the cohort that has no record is at its beginning. `with_recorded`: the others too. A fleet
        that is resumed is as large as it was, so that it computes the same to the last bit; nothing is written of
        trials that have a record."""
        self.trials = []
        for number, hyper in self._points.items():
            record = self.read(number)
            if record is None:
                spec, begin = self._networks[number]
            elif with_recorded and self._networks and record.status in ("ok", "diverged"):
                spec, begin = next(iter(self._networks.values()))  # of one recipe, so all are alike
            else:
                continue
            self.trials.append(Trial(self, number, hyper, spec, begin))
        self._started = {trial.number for trial in self.trials}

    def spend(self, number: int, more: Measured, shared_by: int = 1) -> None:
        self.spent[number] = self.spent.get(number, Measured()).plus(more, shared_by)

    def scratch(self, trials: Sequence[Trial]) -> None:
        """These do not start after all: they have their records."""
        self.trials = [trial for trial in self.trials if trial not in trials]
        self._started -= {trial.number for trial in trials}

    def crashed(self, trial: Trial) -> list[Record]:
        """The record that a crash would leave; none where the trial has one."""
        if self.read(trial.number) is not None:
            return []
        return [trial_record(self.job, (trial.number, trial.hyper), self.context)]

    def write(self, number: int, finished: Finished) -> None:
        if self.read(number) is None:
            record = trial_record(self.job, (number, self._points[number]), self.context, finished)
            write(self.context.store, record, self.context)

    def note(self, trial: Trial, end: int) -> None:
        """It has trained to the end of a rung. If it is through, or can go no further, it is written at once: what is
        on disk need not be done again."""
        over = trial.failed is not None or any(outcome.diverged_at is not None for outcome in trial.outcomes)
        if not over:
            trial.rungs.append(standing(end, trial.outcomes, moments_of(self.spec), self.spec.recipe.stop_early))
        if over or end == self.spec.training.steps:
            self._leave(trial)

    def judge(self, rung: int, end: int) -> None:
        """The best go on to the next rung."""
        best_first = sorted(self.trials, key=lambda t: ranking(t.rungs[-1].score, t.rungs[-1].loss, t.hyper.lr))
        places = max(0, num_kept(len(self._points), rung) - self._gone_on(end))
        for trial in sorted(best_first[places:], key=lambda t: t.number):
            self._leave(trial)

    def _gone_on(self, end: int) -> int:
        """How many trials went on after so many steps before this race began, and do not train in it."""
        steps = self.spec.training.steps
        records = [self.read(number) for number in self._points if number not in self._started]
        lengths = [record.trial.steps for record in records if record is not None and record.trial is not None]
        return sum(length is None or length > end or length == steps for length in lengths)

    def _leave(self, trial: Trial) -> None:
        self.write(trial.number, guarded(trial.finished))
        self.trials.remove(trial)
        self._networks.pop(trial.number, None)
        trial.seats = []

    def remember(self, cohort: range) -> None:
        """The cohort is over."""
        for number in cohort:
            record = self.read(number)
            assert record is not None
            self.history.append(as_tried(number, record))
