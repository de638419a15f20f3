"""What `gate`, `baseline accept` and the pytest plug-in share: a suite, measured with the code that runs now."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.commands.run import RunOptions, plan_with_all_it_needs, train
from bench.commands.suites import Folders
from bench.errors import SIGNALLED, BenchError, StoreError
from bench.execute.gpus import count_gpus
from bench.gate.workplace import workplace
from bench.provenance import describe
from bench.store.atomic import explain

if TYPE_CHECKING:
    from bench.gate.tonight import Tonight
    from bench.planning.plan import Plan
    from bench.store import Record, Scanned


class Stopped(BenchError):
    """A signal came. What is finished is on disk."""

    def __init__(self, signal: int) -> None:
        self.exit_code = SIGNALLED + signal
        super().__init__("stopped; run the same command again to go on")


@dataclass(frozen=True)
class Planned:
    plan: "Plan"
    folders: Folders  # where this code's records lie, and where pages go as always
    run: RunOptions
    reuse: bool

    @property
    def suite(self) -> str:
        return self.plan.loaded.suite.name

    @property
    def records(self) -> "dict[str, Record]":
        return self.folders.roots(self.suite).look().records

    def empty(self) -> None:
        """What this code has measured of this suite; never what `run` has left."""
        roots = self.folders.roots(self.suite)
        for path in (roots.store.root, roots.cache):
            try:
                if path.exists():
                    shutil.rmtree(path)
            except OSError as error:
                raise StoreError(f"cannot remove {path}: {explain(error)}") from None
        for job in self.plan.jobs.values():
            if job.kind == "pretrain":
                roots.shared.forget(job.key)

    def trained(self) -> "Timing":
        """What is missing is trained first, and what failed is tried again. Raises Stopped."""
        from bench.gate.tonight import tonight_of

        again = self.run.rerun if self.reuse else "failed"
        summary = train(self.plan, self.plan, replace(self.run, folders=self.folders, rerun=again))
        if summary.stopped_by is not None:
            raise Stopped(summary.stopped_by)
        seen = summary.seen or self.folders.roots(self.suite).look()
        tonight = tonight_of(self.plan, seen.records)
        return Timing(tonight, summary.trainings, tuple(self._notes(tonight, summary.trainings, seen)), seen)

    def _notes(self, tonight: "Tonight", trainings: int, seen: "Scanned") -> Iterator[str]:
        yield from (f"A damaged record counts as absent: {one}." for one in (*seen.damaged_shared, *seen.damaged))
        here = len(seen.records.keys() & {key for job in self.plan.jobs.values() for key in job.record_keys})
        if trainings == 0:
            yield "Nothing was trained tonight: every record was there already, so this compares what is known." + (
                "" if self.reuse else " `--fresh` measures again.")
        elif trainings < here:
            yield f"{trainings} of {here} records were made tonight, the others earlier by the same code."
        mine = describe()["code"]
        if self.reuse and any(origin.code != mine for origin in tonight.origins):
            yield "Records were made by other code than runs now, so this says nothing about the code of tonight."


@dataclass(frozen=True)
class Timing:
    tonight: "Tonight"
    trainings: int  # done now
    notes: tuple[str, ...]
    seen: "Scanned"  # all records of the suite, after them


def planned(run: RunOptions, reuse: bool) -> Planned:
    """`reuse`: take what `run` has left, whichever code made it."""
    on_gpu = run.gpus != 0 and count_gpus() > 0
    place = run.folders.results if reuse else workplace(run.folders.results, {**describe(), "on_gpu": on_gpu})
    folders = replace(run.folders, results=place)
    run = replace(run, folders=folders)
    plan, _ = plan_with_all_it_needs(run)
    plan = plan.without_mistakes()  # no baseline has them
    return Planned(plan, folders, run, reuse)
