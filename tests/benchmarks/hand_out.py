"""`python -m tests.benchmarks.hand_out --jobs 80000`: what the runner itself costs where a suite has very many jobs.

The real runner, backlog and ledger hand out every job of a plan in the way of eight GPUs, to workers that are
pretended: each says at once that its trainings are done, and writes nothing.
"""

import argparse
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

from bench.execute.bundles import Backlog, bundles
from bench.execute.display import Display
from bench.execute.executor import Worker
from bench.execute.ledger import Ledger
from bench.execute.local import Pool
from bench.execute.messages import Done, Recorded, Starting
from bench.execute.patience import Patience
from bench.execute.runner import Runner
from bench.planning.titles import titles_of
from bench.planning.work import Estimator
from bench.store import Record
from tests.benchmarks.many import planned, say, suite_of

GPUS = 8
RECORDS = 4.5  # of a job of that suite, a mean over searches and finals


class Pretended(Pool):
    def start(self, setups):
        self.workers = [Worker(setup, setup.device) for setup in setups]

    def give(self, worker, bundle):
        worker.takes(bundle)

    def messages(self, timeout):
        for worker in self.busy():
            kind = {"search": "trial"}.get(worker.bundle.jobs[0].kind, worker.bundle.jobs[0].kind)
            for job in worker.bundle.jobs:
                for key in job.record_keys:
                    yield worker, Starting((Record(key, kind, "crashed", {}),))
                    yield worker, Recorded(key, kind, "ok", 0.5, None)
            yield worker, Done(True)

    def close(self, now):
        pass


def hand_out(folder: Path) -> int:
    """How many jobs there were."""
    plan, folders = planned(folder)
    jobs = [job for job in plan.jobs.values() if job.kind != "pretrain"]
    say(f"{len(plan.cells)} cells, {len(jobs)} jobs, {sum(len(job.record_keys) for job in jobs)} trainings")
    work, roots = Estimator.of(plan).work, folders.roots("many")
    begun, cpu = time.monotonic(), time.process_time()
    backlog = Backlog(jobs, bundles(jobs, is_gpu=True))
    say(f"put together: {time.process_time() - cpu:.1f} s of CPU")
    with (folder / "shown.txt").open("w") as shown:
        display = Display(float(len(jobs)), len(jobs), GPUS, shown)
        missing = {job.key: len(job.record_keys) for job in jobs}
        ledger = Ledger(roots, titles_of(plan), work, missing, display)
        stop = SimpleNamespace(count=0, raises=False, signal=None)
        runner = Runner(Pretended(), backlog, ledger, stop, Patience(work, 0))
        runner.start([SimpleNamespace(device=f"cuda:{number}") for number in range(GPUS)])
        runner.walk()
    assert not backlog.left, f"{len(backlog.left)} jobs were not handed out"
    say(f"all of it: {time.monotonic() - begun:.1f} s, {time.process_time() - cpu:.1f} s of CPU")
    return len(jobs)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--jobs", type=int, default=80_000)
    with tempfile.TemporaryDirectory() as place:
        Path(place, "many.yaml").write_text(suite_of(round(parser.parse_args().jobs * RECORDS)))
        sys.exit(0 if hand_out(Path(place)) else 1)
