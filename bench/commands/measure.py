"""What `gate`, `baseline accept` and the pytest plug-in share: a suite, measured with the code that runs now."""

import shutil
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from bench.commands.run import RunOptions, plan_with_all_it_needs, train
from bench.commands.suites import Folders
from bench.errors import BenchError
from bench.gate.workplace import workplace
from bench.provenance import describe

if TYPE_CHECKING:
    from bench.gate.tonight import Tonight
    from bench.plan.plan import Plan
    from bench.store import Record


class Stopped(BenchError):
    """A signal came. What is finished is on disk."""

    def __init__(self, signal: int) -> None:
        self.exit_code = 128 + signal
        super().__init__("stopped; run the same command again to go on")


@dataclass(frozen=True)
class Planned:
    plan: "Plan"
    folders: Folders  # where this code's records lie, and where pages go as always
    run: RunOptions

    @property
    def suite(self) -> str:
        return self.plan.loaded.suite.name

    @property
    def records(self) -> "dict[str, Record]":
        roots = self.folders.roots(self.suite)
        return {**roots.shared.scan()[0], **roots.store.scan()[0]}

    def empty(self) -> None:
        """What this code has measured already; never what `run` has left."""
        for path in self.folders.results.iterdir():
            shutil.rmtree(path, ignore_errors=True)

    def trained(self) -> "tuple[Tonight, str]":
        """And a note on what was not done tonight, or "". Raises Stopped."""
        from bench.gate.tonight import tonight_of

        summary = train(self.plan, self.plan, replace(self.run, folders=self.folders))
        if summary.stopped_by is not None:
            raise Stopped(summary.stopped_by)
        num = self.plan.num_trainings
        note = (
            f"{summary.trainings} of {num} trainings were done tonight; the others were there already, and `--fresh` "
            "does them again."
        )
        return tonight_of(self.plan, self.records), note if summary.trainings < num else ""


def planned(run: RunOptions, reuse: bool) -> Planned:
    """`reuse`: take what `run` has left, whichever code made it."""
    folders = run.folders if reuse else replace(run.folders, results=workplace(run.folders.results, describe()))
    run = replace(run, folders=folders)
    plan, _ = plan_with_all_it_needs(run)
    return Planned(plan, folders, run)
