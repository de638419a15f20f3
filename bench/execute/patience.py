"""How long a worker may take before it is taken for hung. Generous: to end an honest training is worse than to wait."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.execute.display import duration
from bench.keys import digest
from bench.spec.job import Job

LEAST = 1800.0  # seconds that anything may take
FACTOR = 20.0  # a training may take so many times what is predicted
UNKNOWN = 0.1  # seconds predicted for an example's pass through a network of which nothing was measured yet
SETUP = 86_400.0  # seconds for all that comes before the first step: networks, tables of features, trying out forms


@dataclass
class Patience:
    work: Callable[[Job], float]  # of one training of a job, in passes of one example through the network
    timeout: float | None = None  # --timeout: seconds for one training; 0: no limit at all
    _paces: dict[str, float] = field(default_factory=dict)  # seconds of a pass, the slowest so far

    def note(self, job: Job, together: int, seconds: float) -> None:
        """So many trainings of the job took so long."""
        name = _like(job, together)
        self._paces[name] = max(self._paces.get(name, 0.0), seconds / self._passes(job, together))

    def exceeded(self, job: Job, together: int, seconds: float) -> str:
        """Why the trainings at hand are to be ended after so many seconds; "": they are not. `together`: how many
        there are; 0: they have not begun."""
        if self.timeout == 0:
            return ""
        if not together:
            limit = SETUP if self.timeout is None else max(LEAST, FACTOR * self.timeout)
            why = f"took longer than {duration(limit)} before its first step"
        elif self.timeout is not None:
            limit, why = self.timeout * together, f"took longer than --timeout {self.timeout:g} s"
        else:
            predicted = self._paces.get(_like(job, together), UNKNOWN) * self._passes(job, together)
            limit = max(LEAST, FACTOR * predicted)
            why = f"took longer than {duration(limit)}, when {duration(predicted)} were expected"
        hint = "" if together and self.timeout else "; taken for hung (--timeout SECONDS sets the limit, 0 lifts it)"
        return why + hint if seconds > limit else ""

    def _passes(self, job: Job, together: int) -> float:
        return max(1.0, self.work(job)) * together


def _like(job: Job, together: int) -> str:
    """The same for trainings of which one tells how long another takes: of one network, alone or in company."""
    backbone = job.spec.backbone
    return digest([backbone.name, backbone.options, job.spec.pipeline, together > 1])
