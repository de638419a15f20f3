"""How long a worker may take before it is taken for hung. Generous: to end an honest training is worse than to wait."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.execute.display import duration
from bench.execute.executor import Announced
from bench.keys import digest
from bench.spec.job import Job

SILENCE = 1800.0  # seconds until a worker says what it is at
DAY = 86_400.0  # seconds for all that comes before the first step, and for any training
FACTOR = 20.0  # a training may take so many times what is predicted, where that is more than a day
WAYS = "--timeout SECONDS limits trainings, 0 lifts all limits"


@dataclass
class Patience:
    work: Callable[[Job], float]  # of one training of a job, in passes of one example through the network
    timeout: float | None = None  # --timeout: seconds for one training; 0: no limit at all
    _paces: dict[str, float] = field(default_factory=dict)  # seconds of a pass, the slowest so far, by `_like`
    _likes: dict[str, str] = field(default_factory=dict)  # by job

    def note(self, job: Job, together: int, seconds: float) -> None:
        """So many trainings of the job came to their end in so long. Others may take longer for it, never less: a pass
        over kept features tells nothing of one through the whole network."""
        pace = seconds / (max(1.0, self.work(job)) * together)
        self._paces[self._like(job)] = max(self._paces.get(self._like(job), 0.0), pace)

    def exceeded(self, job: Job, announced: Announced, now: float) -> str:
        """Why the worker is to be ended; "": it is not."""
        together = announced.under_way
        if together and self.timeout is not None:
            limit, why = self.timeout * together, f"took longer than --timeout {self.timeout:g} s"
        else:
            predicted = self._paces.get(self._like(job), 0.0) * self.work(job) * together
            limit = max(DAY, FACTOR * predicted) if announced.records else SILENCE
            what = "" if together else " before its first step"
            why = f"took longer than {duration(limit)}{what}; taken for hung ({WAYS})"
        return why if self.timeout != 0 and now - announced.since > limit else ""

    def _like(self, job: Job) -> str:
        """The same for trainings of one network."""
        if job.key not in self._likes:
            backbone = job.spec.backbone
            self._likes[job.key] = digest([backbone.name, backbone.options, job.spec.pipeline])
        return self._likes[job.key]
