"""A run whose workers are played: what they say, and when they die, is a script."""

from types import SimpleNamespace

from bench.execute import runner as runner_module
from bench.execute.local import LocalWorker
from bench.execute.local import Pool as RealPool
from bench.execute.messages import Done, Recorded, Starting
from bench.execute.placement import Placement
from bench.execute.runner import run_plan
from tests.execute.plans import record_of, tiny_plan


class Played(RealPool):
    """`play(worker)` yields what a busy worker says about its job; the default does the job properly."""

    def __init__(self, stage):
        self.stage, self.workers = stage, []

    def _start(self, setup):
        self.stage.started += 1
        pipe = SimpleNamespace(close=lambda: None, send=lambda job: None)
        return LocalWorker(setup, f"process {self.stage.started}", process=PlayedProcess(self.stage, setup), pipe=pipe)

    def messages(self, timeout):
        for worker in self.stage.speakers(self):
            for message in self.stage.play(worker):
                yield worker, message

    def close(self, now):
        self.stage.closed.append(now)


class PlayedProcess:
    def __init__(self, stage, setup):
        self.stage, self.setup, self.pid = stage, setup, stage.started

    def kill(self):
        self.stage.killed.append(self.setup.device)

    def join(self, seconds):
        pass

    def is_alive(self):
        return False


class Stage:
    """A run of the tiny plan with played workers."""

    def __init__(self, place, monkeypatch):
        self.plan, self.roots, _ = tiny_plan(place)
        self.started, self.killed, self.closed, self.lines = 0, [], [], []
        self.play = self.do
        self.speakers = lambda pool: pool.busy()
        monkeypatch.setattr(runner_module.Display, "_print", lambda display, line: self.lines.append(line))

    def do(self, worker):
        for job in worker.bundle.jobs:
            store = self.roots.store_of(job)
            for key in job.record_keys:
                if store.read(key) is None:
                    record = record_of(job, self.roots, key)
                    yield Starting((record_of(job, self.roots, key, "crashed"),))
                    store.write(record)
                    yield Recorded.of(record)
        yield Done(True)

    def run(self, workers=1, timeout=None):
        placement = Placement(("cpu",) * workers, 1, timeout, Played(self))
        return run_plan(self.plan, self.roots, lambda job: 1.0, placement, {})

    def once(self, strange, kind=None):
        """`strange` plays the first busy worker, or the first one at such a job; before and after it all goes well."""

        def play(worker):
            if kind not in (None, worker.bundle.jobs[0].kind):
                yield from self.do(worker)
                return
            self.play = self.do
            yield from strange(worker)

        self.play = play


def begins(stage, worker, number=1):
    """The first so many trainings of what the worker was given."""
    job = worker.bundle.jobs[0]
    return Starting(tuple(record_of(job, stage.roots, key, "crashed") for key in job.record_keys[:number]), number)


def statuses(stage):
    return [r.status for store in (stage.roots.store, stage.roots.shared) for r in store.scan()[0].values()]
