"""`pytest --bench-suite suites/nightly.yaml`: every cell of a suite is a test.

The suite is measured with the code that runs now, when the first of its tests is, and held against the baseline as
`python -m bench gate` does. Without a baseline a cell passes when it was trained. pytest imports this file in every
session of an environment that has this package, so nothing else is imported until a suite is asked for.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bench.errors import BenchError
    from bench.gate.baseline import Baseline
    from bench.gate.verdict import GateResult, Verdict

RESULT = pytest.StashKey["dict[str, Any]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bench", "transfer-learning suites")
    group.addoption("--bench-suite", metavar="FILE", help="A suite whose cells are tests; without other paths, all.")
    group.addoption("--bench-baseline", metavar="FILE", help="What to hold it against; RESULTS/baselines/<suite>.json.")
    group.addoption("--bench-results", metavar="DIR", default="results", help="Where records are kept.")
    group.addoption("--bench-reports", metavar="DIR", default="reports", help="Where reports are written.")
    group.addoption("--bench-across-environments", action="store_true",
                    help="Compare although device or libraries are others.")  # fmt: skip


def pytest_configure(config: pytest.Config) -> None:
    suite = config.getoption("--bench-suite")
    if suite is None:
        return
    if not Path(suite).is_file():
        raise pytest.UsageError(f"--bench-suite {suite}: no such file")
    if config.getoption("numprocesses", None):
        raise pytest.UsageError("--bench-suite does not go with -n: the suite has workers of its own")
    is_asked_for_more = config.args_source is pytest.Config.ArgsSource.ARGS
    config.args = [*(config.args if is_asked_for_more else []), suite]


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    suite = parent.config.getoption("--bench-suite")
    if suite is None or file_path != Path(suite).resolve():
        return None
    found: SuiteFile = SuiteFile.from_parent(parent, path=file_path)
    return found


class SuiteFile(pytest.File):
    _verdicts: "tuple[GateResult | None, dict[str, Verdict]] | None" = None
    _error: "BenchError | None" = None

    def collect(self) -> Iterable[pytest.Item]:
        from bench.commands.measure import planned
        from bench.errors import BenchError

        try:
            self._asked = planned(self._options(), reuse=False)
            self._accepted = self._baseline()
        except BenchError as error:
            raise self.CollectError(str(error)) from None
        names = [f"{cell.task} · {cell.backbone} · {cell.strategy}" for cell in self._asked.plan.cells]
        gone = [str(cell) for cell in self._accepted.cells()] if self._accepted is not None else []
        for name in dict.fromkeys([*names, *gone]):
            yield CellItem.from_parent(self, name=name)
        yield WholeItem.from_parent(self, name="the suite as a whole")

    def _options(self) -> Any:
        from bench.commands.run import RunOptions
        from bench.commands.suites import Folders

        option = self.config.getoption
        folders = Folders(Path(option("--bench-results")), Path(option("--bench-reports")))
        self._results = folders.results
        return RunOptions(Path(option("--bench-suite")), folders)

    def verdicts(self) -> "tuple[GateResult | None, dict[str, Verdict]]":
        """By the names of cells; measured when first asked for, once."""
        from bench.commands.measure import Stopped
        from bench.errors import FAULT, BenchError

        if self._error is not None:
            raise self._error
        try:
            if self._verdicts is None:
                self._verdicts = self._judged(self._asked.trained().tonight)
        except Stopped as stopped:
            pytest.exit(str(stopped), returncode=stopped.exit_code)
        except SystemExit as end:  # the second signal
            pytest.exit("stopped at once", returncode=end.code if isinstance(end.code, int) else FAULT)
        except BenchError as error:
            self._error = error
            raise
        return self._verdicts

    def _baseline(self) -> "Baseline | None":
        """None: none was given, and there is none where they lie."""
        from bench.commands.gate import baseline_file, read_baseline

        given = self.config.getoption("--bench-baseline")
        self.baseline_path = baseline_file(self._asked.suite, self._results, Path(given) if given else None)
        if given is None and not self.baseline_path.is_file():
            return None
        return read_baseline(self.baseline_path, Path(self.config.getoption("--bench-suite")))

    def _judged(self, tonight: Any) -> "tuple[GateResult | None, dict[str, Verdict]]":
        from bench.gate.compare import compare
        from bench.gate.pairs import Rule, gaps
        from bench.gate.verdict import Verdict

        if self._accepted is None:
            return None, {
                str(cell.name): Verdict(
                    cell.name, "new" if cell.rows or cell.unfit else "missing", gaps(cell), len(cell.rows),
                    went_wrong=cell.went_wrong,
                )
                for cell in tonight.cells
            }  # fmt: skip
        gate = self._asked.plan.loaded.suite.gate
        across = bool(self.config.getoption("--bench-across-environments"))
        rule = Rule(gate.margin, gate.must_see, across_environments=across)
        result = compare(self._accepted, tonight, rule, str(self.baseline_path))
        return result, {str(verdict.cell): verdict for verdict in result.verdicts}


class CellFailed(Exception):
    """Worded for the terminal; its traceback helps nobody."""


class _Item(pytest.Item):
    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        from bench.errors import BenchError

        if isinstance(excinfo.value, CellFailed | BenchError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        return self.path, None, self.name


class WholeItem(_Item):
    """What no cell says by itself: that something was compared at all."""

    def runtest(self) -> None:
        from bench.gate.outputs.sentences import sentence

        assert isinstance(self.parent, SuiteFile)
        result, _ = self.parent.verdicts()
        if result is None:
            pytest.skip(f"no baseline at {self.parent.baseline_path}: a cell passes when it was trained")
        if result.exit_code:
            raise CellFailed(sentence(result))


class CellItem(_Item):
    def runtest(self) -> None:
        from bench.gate.outputs.sentences import fails, reading

        assert isinstance(self.parent, SuiteFile)
        result, verdicts = self.parent.verdicts()
        verdict = verdicts.get(self.name)
        if verdict is None:
            pytest.skip("the strategy does not fit this network or these data")
        if result is None:
            if verdict.went_wrong or verdict.word == "missing":
                raise CellFailed(verdict.reason or "nothing was trained")
            if verdict.n == 0:
                pytest.skip(verdict.reason)
            return
        if fails(result, verdict):
            raise CellFailed(reading(result, verdict))
        if verdict.word in ("new", "incomparable"):
            pytest.skip(f"{verdict.word}: {verdict.reason}" if verdict.reason else verdict.word)
