"""Which jobs may train together in one process, the repeats of one cell, and which are handed out next."""

import heapq
from collections import defaultdict, deque
from collections.abc import Iterable
from dataclasses import replace

from bench.execute.messages import Bundle
from bench.keys import digest
from bench.planning.patterns import has_one_body
from bench.spec.job import FitSpec, Job


class Backlog:
    """The jobs that a run has left: each lacks what it needs, is ready, is under way, or waits for another runner.

    To hand out a bundle costs its own size, not the plan's.
    """

    def __init__(self, jobs: Iterable[Job], groups: Iterable[tuple[Job, ...]]) -> None:
        """`jobs`: in the plan's order. `groups`: those that may train together; every job is in one."""
        groups = list(groups)
        self._order = sorted(jobs, key=_rank)  # a job's place in it is its turn
        self.left = {job.key: turn for turn, job in enumerate(self._order)}
        self.waiting: set[str] = set()  # held by another runner when last looked at
        self._later: deque[tuple[float, Job]] = deque()  # when to look again, the soonest first
        self._group = {job.key: group[0].key for group in groups for job in group}  # named by its first job
        self._alone: set[str] = set()  # jobs in which a death could not be told from another's
        self._ready: defaultdict[str, set[int]] = defaultdict(set)  # group -> turns
        self._next: list[int] = []  # a heap of turns; some were handed out with an earlier one of their group
        # Needs not met yet, its own and its group's: of a group that goes together none goes ahead, whoever else met
        # some of them, for another fleet would round otherwise.
        self._lacks: dict[str, set[str]] = {}
        for group in groups:
            needs = {need for job in group for need in job.needs}
            self._lacks |= {job.key: self.left.keys() & needs for job in group}
        self._users: defaultdict[str, list[Job]] = defaultdict(list)
        for job in self._order:
            for need in self._lacks[job.key]:
                self._users[need].append(job)
            if not self._lacks[job.key]:
                self.put(job)

    def put(self, job: Job) -> None:
        """It can be handed out, for the first time or again."""
        turn = self.left[job.key]
        self._ready[self._group[job.key]].add(turn)
        heapq.heappush(self._next, turn)

    def put_off(self, job: Job, until: float) -> None:
        """Another runner holds it. `until` is never earlier than in the call before."""
        self.waiting.add(job.key)
        self._later.append((until, job))

    def separate(self, jobs: Iterable[Job]) -> None:
        """Jobs under way are to be handed out one by one from now on."""
        for job in jobs:
            self._alone.add(job.key)
            self._group[job.key] = f"{job.key} alone"

    def take(self, now: float) -> Bundle | None:
        """The first job that is ready, with all of its group that are."""
        while self._later and self._later[0][0] <= now:
            self.put(self._later.popleft()[1])
        while self._next:
            turn = heapq.heappop(self._next)
            first = self._order[turn]
            ready = self._ready[self._group[first.key]]
            if turn in ready:
                jobs = tuple(self._order[one] for one in sorted(ready))
                ready.clear()
                return Bundle(jobs, alone=first.key in self._alone)
        return None

    def remove(self, job: Job, is_usable: bool) -> None:
        """Nothing more is to be done about it. `is_usable`: its users find what they need."""
        del self.left[job.key]
        self.waiting.discard(job.key)
        for user in self._users[job.key]:
            if is_usable or job.key not in user.needs:
                self._lacks[user.key].remove(job.key)
                if not self._lacks[user.key] and user.key in self.left:
                    self.put(user)


def bundles(jobs: Iterable[Job], is_gpu: bool) -> list[tuple[Job, ...]]:
    """The jobs, those that may train together put together, in the order of the first of each."""
    found: dict[str, list[Job]] = {}
    for job in jobs:
        spec = job.spec
        fits = isinstance(spec, FitSpec) and _share_what_is_frozen(spec) and (is_gpu or _trains_head_only(spec))
        found.setdefault(alike(job) if fits else job.key, []).append(job)
    return [tuple(group) for group in found.values()]


def alike(job: Job) -> str:
    """The same for jobs that differ in nothing but their repeat."""
    spec = job.spec
    if not isinstance(spec, FitSpec):
        return job.key
    return digest([job.kind, replace(spec, repeat=0, data=spec.data.as_read)])


def _rank(job: Job) -> int:
    """Pretrainings first, since most of a plan waits for them; finals before further searches."""
    return ("pretrain", "final", "search", "unchosen").index(job.kind)


def _trains_head_only(spec: FitSpec) -> bool:
    """On a CPU only heads gain from each other's company; the rest is better spread over the cores."""
    return not any(rate for phase in spec.recipe.phases for rate in phase.rates[:-1])


def _share_what_is_frozen(spec: FitSpec) -> bool:
    """What stays frozen, if anything, is the same in every repeat."""
    recipe = spec.recipe
    nothing_frozen = all(recipe.touched(len(recipe.phases) - 1).units) and recipe.tensors == "all"
    return nothing_frozen or has_one_body(spec)
