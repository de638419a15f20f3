"""`run --budget 2h`: as many repeats of all cells as fit into a time.

The lever is repeats. A strategy that is left out cannot be compared, and one with fewer trials cannot be compared
fairly; with fewer repeats every comparison stands, only less surely. So repeats go whole and in order, and one that
does not fit is not begun. The first repeat comes alone and measures how many more fit; then half of these come at a
time, so that a wrong estimate is noticed before it has cost much. Where all that is left would fit twice, it comes at
once: trainings that come together train together.
"""

import re
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from statistics import mean

from bench.commands.output import note
from bench.commands.progress import BETWEEN, STARTING, Progress, speed_of
from bench.errors import BenchError
from bench.execute.ahead import network_of
from bench.execute.bundles import alike
from bench.execute.display import duration
from bench.execute.ledger import Summary
from bench.execute.placement import Placement
from bench.planning.plan import Plan
from bench.planning.work import Estimator

HOUR = 3600.0
UNITS = {"s": 1.0, "m": 60.0, "h": HOUR, "d": 24 * HOUR, "gpuh": HOUR}


def read_budget(text: str) -> tuple[float, str]:
    """A number and its unit."""
    found = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([a-z]+)", text)
    if found is None or found[2] not in UNITS or float(found[1]) <= 0:
        raise BenchError(f"--budget {text}: expected a time as 90s, 30m, 2h or 1d, or GPU-hours as 8gpuh")
    return float(found[1]), found[2]


def seconds_of(text: str, placement: Placement) -> float:
    """GPU-hours are shared by the GPUs of this run."""
    amount, unit = read_budget(text)
    if unit == "gpuh" and not placement.num_gpus:
        raise BenchError(f"--budget {text}: this run uses no GPU; say how long it may take, as 2h")
    return amount * UNITS[unit] / (placement.num_gpus if unit == "gpuh" else 1)


@dataclass(frozen=True)
class Outlook:
    """What is left of a plan, in seconds of all workers together."""

    costs: dict[str, float]  # of each unfinished job
    parts: tuple[frozenset[str], ...]  # keys of the jobs of the first repeat, of the first two ...
    num_workers: int
    is_measured: bool

    @property
    def num_whole(self) -> int:
        """Repeats of which nothing is left."""
        return sum(not self.costs.keys() & part for part in self.parts)

    def seconds(self, num: int) -> float:
        """Until the first so many repeats are whole."""
        return sum(cost for key, cost in self.costs.items() if key in self.parts[num - 1]) / self.num_workers

    def fitting(self, seconds: float) -> int:
        """How many repeats would be whole by then."""
        return sum(self.seconds(num) <= seconds for num in range(1, len(self.parts) + 1))


@dataclass
class Budgeted:
    """A run that ends in time."""

    plan: Plan
    num_workers: int
    deadline: float  # of time.monotonic
    look: Callable[[Plan], Progress]
    train: Callable[[Plan], Summary]  # what is missing of a plan, until the deadline
    paces: Mapping[str, float]  # seconds of a pass of one example, by network, as timed here

    def run(self) -> tuple[Summary, int]:
        """What was done, and how many repeats are whole."""
        summary, outlook = Summary(), self._outlook(self.look(self.plan), BETWEEN)
        self._say_what_fits(outlook)
        while (whole := outlook.num_whole) < len(self._parts):
            room = self.deadline - time.monotonic()
            fitting = outlook.fitting(room) - whole
            if whole and fitting <= 0:
                break
            at_once = 1
            if summary.trainings:  # this run has measured
                fits_twice = outlook.fitting(room / 2) == len(self._parts)
                at_once = fitting if fits_twice else max(1, fitting // 2)
            before = self.look(self.plan)
            done = self.train(self.plan.repeats(whole + at_once))
            summary, after = summary.plus(done), self.look(self.plan)
            outlook = self._outlook(after, _between(before, after, done))
            if done.stopped_by is not None or done.is_out_of_time or not done.trainings:
                break  # the last: what is left cannot be made
        self._say_what_is_left(outlook)
        return summary, outlook.num_whole

    @cached_property
    def _parts(self) -> tuple[frozenset[str], ...]:
        numbers = range(1, self.plan.loaded.suite.repeats + 1)
        return tuple(frozenset(self.plan.repeats(number).jobs) for number in numbers)

    def _outlook(self, progress: Progress, between: float) -> Outlook:
        """`between`: seconds of each training beside its steps."""
        jobs, estimator = self.plan.jobs, Estimator.of(self.plan)
        took: defaultdict[str, list[float]] = defaultdict(list)
        for key, times in _seconds_of(progress).items():
            took[self._likes[key]] += times
        speed, slowest = speed_of(progress, estimator), max(self.paces.values(), default=0.0)
        costs = {}
        for key, count in progress.left.items():
            if measured := took[self._likes[key]]:
                seconds = mean(measured)
            else:
                pace = 1 / speed if speed else self.paces.get(network_of(jobs[key].spec.backbone), slowest)
                seconds = estimator.work(jobs[key]) * pace
            costs[key] = count * (seconds + between)
        return Outlook(costs, self._parts, self.num_workers, is_measured=speed is not None)

    @cached_property
    def _likes(self) -> dict[str, str]:
        """Jobs that differ in nothing but their repeat take the same time."""
        return {key: alike(job) for key, job in self.plan.jobs.items()}

    def _say_what_fits(self, outlook: Outlook) -> None:
        every, room = len(self._parts), self.deadline - time.monotonic()
        fitting = outlook.fitting(room - STARTING)
        if fitting == every:
            note(f"all that is left fits: about {duration(outlook.seconds(every))} of {duration(room)}")
        elif outlook.num_whole >= max(1, fitting):
            note(f"another repeat of all cells does not fit into {duration(max(0, room))}")
        elif fitting:
            note(f"{fitting} of {every} repeats of all cells fit, about {duration(outlook.seconds(fitting))} of "
                 f"{duration(room)}; {every - fitting} are left out")  # fmt: skip
        else:
            note(f"not even one repeat of all cells fits into {duration(room)}: it takes about "
                 f"{duration(outlook.seconds(1))}; cells are trained in the plan's order until the time is over")
        if not outlook.is_measured:
            note("guessed from a short measurement; the first repeat comes alone and says how many more fit")

    def _say_what_is_left(self, outlook: Outlook) -> None:
        whole, every = outlook.num_whole, len(self._parts)
        if whole == every:
            return
        more = outlook.fitting(HOUR) - whole
        hour = f"an hour more gives {more} more" if more else "an hour more does not give another"
        note(f"{whole} of {every} repeats of all cells are whole; the next one takes about "
             f"{duration(outlook.seconds(whole + 1))}, and {hour}")  # fmt: skip


def _seconds_of(progress: Progress) -> dict[str, list[float]]:
    """Of each job's records."""
    found: dict[str, list[float]] = {}
    for key, job in progress.plan.jobs.items():
        records = [progress.records[one] for one in job.record_keys if one in progress.records]
        found[key] = [one.spent.measured.seconds for one in records if one.spent.measured.seconds is not None]
    return found


def _between(before: Progress, after: Progress, done: Summary) -> float:
    """Seconds of each training that was done beside those that its record counts."""
    made = [record for key, record in after.records.items() if key not in before.records]
    counted = sum(record.spent.measured.seconds or 0.0 for record in made)
    return max(0.0, done.seconds - counted) / len(made) if made else BETWEEN
