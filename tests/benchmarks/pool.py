"""As the runner places work on a CPU: as many processes as cores, one thread each. On a GPU one process has it all."""

import multiprocessing
import os
from pathlib import Path

import torch

from bench.engine.train import precision
from tests.benchmarks import workshop

_kept = {}  # in a worker: its workshop, and the context of the run at hand


class Pool:
    def __init__(self, shop):
        self.shop = shop
        self.num = 1 if shop.on_gpu else os.cpu_count() or 1
        start = (shop.folder / "workers", dict(shop.files))
        self._pool = multiprocessing.get_context("spawn").Pool(self.num, _begin, start)

    def run(self, jobs, ref, **engine):
        """Trial records of each job, in order; a free worker takes the next job."""
        context = self.shop.context(ref)
        folder = context.cache.parent
        tasks = [(folder, ref, tuple(jobs), number, engine) for number in range(len(jobs))]
        for _ in self._pool.imap_unordered(_perform, tasks, chunksize=1):
            pass
        found = workshop.results(jobs, context)
        self.shop.forget(context)
        return found

    def close(self):
        self._pool.terminate()
        self._pool.join()


def _begin(folder, files):
    torch.set_num_threads(1)
    precision.set_explicitly()
    _kept["shop"] = workshop.Workshop(Path(folder) / str(os.getpid()))
    _kept["shop"].files.update(files)


def _perform(task):
    folder, ref, jobs, number, engine = task
    if _kept.get("folder") != folder:
        _kept["folder"], _kept["context"] = folder, _kept["shop"].context(ref, jobs, folder, **engine)
    workshop.run([jobs[number]], _kept["context"])
