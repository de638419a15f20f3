"""What a run has done so far, and what a person is told of it."""

from collections.abc import Callable
from dataclasses import dataclass, field

from bench.execute.display import Display
from bench.execute.messages import Recorded
from bench.execute.roots import Roots
from bench.spec.job import Job
from bench.store import Scanned
from bench.store.record import went_wrong


@dataclass
class Summary:
    trainings: int = 0  # done in this run
    seconds: float = 0.0  # of workers on these
    failed: int = 0
    blocked: int = 0  # jobs whose pretraining failed
    stopped_by: int | None = None  # signal number
    is_out_of_time: bool = False  # the run stopped at its deadline
    seen: Scanned | None = field(default=None, compare=False)  # all records, where nothing was left to do

    def plus(self, later: "Summary") -> "Summary":
        """`later`: of a run that went on from here."""
        return Summary(self.trainings + later.trainings, self.seconds + later.seconds, self.failed + later.failed,
                       later.blocked, later.stopped_by, later.is_out_of_time)  # fmt: skip


@dataclass
class Ledger:
    roots: Roots
    titles: dict[str, str]  # of jobs, by key
    work: Callable[[Job], float]  # of one training of a job
    missing: dict[str, int]  # job -> records that it lacks
    display: Display
    summary: Summary = field(default_factory=Summary)
    _scores: dict[str, dict[str, float | None]] = field(default_factory=dict)  # search -> of its trials, in this run
    _outcomes: dict[str, str] = field(default_factory=dict)  # job -> its latest in words
    _reasons: set[str] = field(default_factory=set)  # what has gone wrong, each said once

    def say(self, job: Job, line: str) -> None:
        self.display.say(f"{self.titles[job.key]}: {line}")

    def say_once(self, reason: str, line: str) -> None:
        if reason not in self._reasons:
            self._reasons.add(reason)
            self.display.say(line)

    def count(self, job: Job, message: Recorded, seconds: float) -> None:
        self.summary.trainings += 1
        self.summary.seconds += seconds
        self.summary.failed += went_wrong(message)
        if message.error and message.status in ("failed", "oom"):
            line = f"{self.titles[job.key]}: {message.status}: {message.error.splitlines()[0]}"
            self.say_once(message.error, line)
        if job.kind == "search":
            self._scores.setdefault(job.key, {})[message.key] = message.score
        self._outcomes[job.key] = message.outcome
        self.missing[job.key] -= 1
        self.display.advance(self.work(job), seconds)

    def leave(self, job: Job) -> None:
        """This run has nothing more to do with it, whoever made its records."""
        self.display.drop(self.work(job) * max(0, self.missing[job.key]))

    def finish(self, job: Job, seconds: float) -> None:
        self.leave(job)
        outcome = self._outcomes.pop(job.key, "done by another runner")
        self.display.finished(self.titles[job.key], self._best(job) or outcome, seconds)

    def _best(self, job: Job) -> str:
        """Of a search's trials, those of an earlier run too; "" where none has a score, and for other jobs."""
        if job.kind != "search":
            return ""
        made = self._scores.pop(job.key, {})
        earlier = [self.roots.store.read(key) for key in job.record_keys if key not in made]
        scores = [score for score in made.values() if score is not None]
        scores += [one.trial.score for one in earlier if one is not None and one.trial is not None]
        return f"best {max(scores):.3f}" if scores else ""
