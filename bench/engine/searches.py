"""A search, or those of several repeats of a cell: cohort after cohort of trials, until every one has its record."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from bench.engine.calibrate import without_fault
from bench.engine.context import Context
from bench.engine.fit import Finished, Start, labelled_images, start, trial_streams
from bench.engine.loop import Session
from bench.engine.measure import Meter, Spent
from bench.engine.muster import choose, fallen, muster, narrower
from bench.engine.optimize import Hyper
from bench.engine.race import Entrant, Lane, run_race
from bench.engine.records import as_tried, guarded, trial_record, write
from bench.engine.search import Tried, ask_cohort, at_point
from bench.engine.soups import keep_ingredient
from bench.errors import StoreError
from bench.plan.halving import cohorts
from bench.spec.job import FitSpec, Job, trial_key
from bench.store import Record


@dataclass
class _Search:
    """One search as it goes on."""

    job: Job
    context: Context
    history: list[Tried] = field(default_factory=list)

    @property
    def spec(self) -> FitSpec:
        assert isinstance(self.job.spec, FitSpec)
        return self.job.spec

    def read(self, number: int) -> Record | None:
        return self.context.store.read(trial_key(self.job.key, number))

    def remember(self, cohort: range) -> None:
        for number in cohort:
            record = self.read(number)
            assert record is not None
            self.history.append(as_tried(number, record))

    def complete(self, lane: Lane) -> None:
        """A fleet that is resumed is as large as it was, so that it computes the same to the last bit: trials that
        have their records train along, and nothing is written of them."""
        known = {number: self.read(number) for number in self._cohort(lane)}
        again = [record for record in known.values() if record is not None and record.status in ("ok", "diverged")]
        lane.entrants += [Entrant(record.spec["number"], as_tried(0, record).hyper) for record in again]
        lane.entrants.sort(key=lambda entrant: entrant.number)
        lane.gone_on = lambda end: 0

    def _cohort(self, lane: Lane) -> range:
        return range(len(self.history), len(self.history) + lane.num_started)

    def write(self, point: tuple[int, Hyper], finished: Finished) -> None:
        if self.read(point[0]) is None:
            write(self.context.store, trial_record(self.job, point, self.context, finished), self.context)


def make_searches(jobs: Sequence[Job], context: Context) -> bool:
    """False: told to stop before the last trial."""
    searches = [_Search(job, context) for job in jobs]
    starts: dict[str, Start | Finished] = {}
    for cohort in cohorts(searches[0].spec.search):
        if not _run_cohort(searches, cohort, starts, context):
            return False
        for search in searches:
            search.remember(cohort)
    return True


def _run_cohort(
    searches: list[_Search], cohort: range, starts: dict[str, Start | Finished], context: Context
) -> bool:
    lanes: list[Lane] = []
    owners: dict[int, _Search] = {}
    for search in searches:
        points = dict(zip(cohort, ask_cohort(search.spec, search.history, cohort), strict=True))
        missing = {number: hyper for number, hyper in points.items() if search.read(number) is None}
        if not missing:
            continue
        if context.stopping():
            return False
        entrants = _entrants(search, missing, starts)
        if not entrants:
            continue
        lane = _lane(search, entrants, cohort)
        lanes.append(lane)
        owners[id(lane)] = search
    if not lanes:
        return True
    return _race(lanes, owners, context)


def _entrants(search: _Search, missing: dict[int, Hyper], starts: dict[str, Start | Finished]) -> list[Entrant]:
    """Those whose network can be made; the others get their records. Trials of one recipe share a start, and fail
    alike."""
    found = []
    for number, hyper in missing.items():
        spec = at_point(search.spec, hyper)
        key = search.job.key
        if key not in starts or spec.varied is not None:
            search.context.begins([trial_record(search.job, (number, hyper), search.context)], 1)
            starts[key] = guarded(lambda spec=spec: start(spec, search.context))  # type: ignore[misc]
        begin = starts[key]
        if isinstance(begin, Finished):
            search.write((number, hyper), begin)
        else:
            found.append(Entrant(number, hyper, own=(spec, begin)))
    return found


def _lane(search: _Search, entrants: list[Entrant], cohort: range) -> Lane:
    assert entrants[0].own is not None
    spec, begin = entrants[0].own
    steps = search.spec.training.steps

    def gone_on(end: int) -> int:
        known = [record for record in map(search.read, cohort) if record is not None and record.status == "ok"]
        return sum(record.result["steps"] > end or record.result["steps"] == steps for record in known)

    images = labelled_images(spec, search.context.data(spec.data))
    return Lane(spec, begin, images, trial_streams(spec, images), entrants, len(cohort), gone_on)


def _race(lanes: list[Lane], owners: dict[int, _Search], context: Context) -> bool:
    hooks = _Hooks(context, lanes, owners)
    meter = context.meter()
    choice = without_fault(lambda: choose(lanes, context), context)
    # Features that were computed on the way are somebody's; the trial of forms is nobody's training.
    lanes[0].entrants[0].spent = Spent(feature_seconds=meter.read().feature_seconds)
    if choice.width > 1:
        for lane in lanes:
            owners[id(lane)].complete(lane)
    while True:
        try:
            return all(run_race(racing, squads, hooks) for racing, squads in muster(lanes, choice, context))
        except StoreError:
            raise
        except Exception as error:
            # One of many is to blame, or their number: those without a record try again, fewer at a time.
            if choice.width < 2:
                raise
            choice = narrower(choice, error, sum(len(lane.entrants) * len(lane.streams) for lane in lanes))
            context.notice(fallen(lanes[0].spec, choice, error))
            for entrant in (entrant for lane in lanes for entrant in lane.entrants):
                entrant.start_over()


@dataclass
class _Hooks:
    context: Context
    lanes: list[Lane]
    owners: dict[int, _Search]

    def stopping(self) -> bool:
        return self.context.stopping()

    def begins(self, entrants: Sequence[Entrant]) -> None:
        records = [
            trial_record(self.owners[id(lane)].job, (entrant.number, entrant.hyper), self.context)
            for lane in self.lanes
            for entrant in lane.entrants
            if entrant in entrants and self.owners[id(lane)].read(entrant.number) is None
        ]
        self.context.begins(records, len(entrants))

    def ends(self, lane: Lane, entrant: Entrant, finished: Finished) -> None:
        self.owners[id(lane)].write((entrant.number, entrant.hyper), finished)

    def through(self, entrant: Entrant, session: Session) -> None:
        if session.recipe.soup is not None and session.step == session.training.steps:
            key = next(self.owners[id(lane)].job.key for lane in self.lanes if entrant in lane.entrants)
            entrant.left.append(keep_ingredient(session, key, self.context))

    def guarded(self, run: Callable[[], None]) -> Finished | None:
        return guarded(run)

    def meter(self) -> Meter:
        return self.context.meter()


