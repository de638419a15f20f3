"""The gate's commands, as `cli.py` has all others: options, and nothing else."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bench.cli_types import (
    REPORTS,
    RESULTS,
    Data,
    Gpus,
    Json,
    Offline,
    Reports,
    Results,
    Set,
    SuitePath,
    Threads,
    Timeout,
    Workers,
    look_in,
)

if TYPE_CHECKING:
    from bench.commands.run import RunOptions

History = Annotated[
    Path | None, typer.Option("--history", metavar="DIR", help="Where nights are kept; RESULTS/history if not given.")
]
BaselineFile = Annotated[
    Path | None,
    typer.Option("--baseline", metavar="FILE", help="RESULTS/baselines/<suite>.json if not given."),
]
Reuse = Annotated[
    bool, typer.Option("--reuse", help="Take what `run` has left in RESULTS, whichever code made it.")
]

baseline_app = typer.Typer(help="What nights are held against: accept | history.", no_args_is_help=True)


def gate(
    suite: SuitePath,
    baseline: BaselineFile = None,
    method: Annotated[
        Literal["pairs", "history"],
        typer.Option("--method", help="Against the baseline, or against the nights that were kept (20 or more)."),
    ] = "pairs",
    margin: Annotated[
        float | None, typer.Option("--margin", min=0, help="Points that a cell may drop; the suite's if not given.")
    ] = None,
    must_see: Annotated[
        float | None, typer.Option("--must-see", min=0, help="A drop in points that the gate should be able to catch.")
    ] = None,
    fail_on: Annotated[
        str, typer.Option("--fail-on", metavar="WORDS", help="Verdicts that make the gate red.")
    ] = "regressed,missing",
    across_environments: Annotated[
        bool, typer.Option("--across-environments", help="Compare although device or libraries are others.")
    ] = False,
    reuse: Reuse = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="Measure again what this code has measured already.")] = False,
    timing: Annotated[
        bool, typer.Option("--timing", help="Seconds and memory too, on the same model of device.")
    ] = False,
    benchmarks: Annotated[
        tuple[Path, Path] | None,
        typer.Option("--benchmarks", metavar="BEFORE TONIGHT", help="Two JSON files of pytest-benchmark."),
    ] = None,
    history: History = None,
    keep: Annotated[bool, typer.Option("--keep/--no-keep", help="Keep this night in the history.")] = True,
    junit: Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")] = None,
    github: Annotated[bool, typer.Option("--github", help="Annotations and the step's summary.")] = False,
    overrides: Set = [],  # noqa: B006  typer copies it
    offline: Offline = False,
    data: Data = None,
    gpus: Gpus = None,
    workers: Workers = None,
    threads: Threads = None,
    timeout: Timeout = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    verbose: Annotated[bool, typer.Option("--verbose", help="Every cell, not only those that moved.")] = False,
    json: Json = False,
) -> None:
    """Measure this code and hold it against the baseline: red only where something surely moved."""
    look_in(data)
    from bench.commands.gate import GateOptions
    from bench.commands.gate import gate as command
    from bench.commands.gate_outputs import Outputs

    run = _run_options(suite, (results, reports), overrides, offline)
    run = _placed(run, gpus, workers, threads, timeout)
    outputs = Outputs(history or results / "history", keep, junit, github, json, verbose)
    options = GateOptions(
        run, outputs, baseline=baseline, method=method, margin=margin, must_see=must_see, fail_on=fail_on,
        across_environments=across_environments, reuse=reuse, fresh=fresh, timing=timing, benchmarks=benchmarks,
    )  # fmt: skip
    raise typer.Exit(command(options))


def _run_options(suite: Path, folders: tuple[Path, Path], overrides: list[str], offline: bool) -> "RunOptions":
    from bench.commands.run import RunOptions
    from bench.commands.suites import Folders
    from bench.plan.enumerate import MAX_RUNS

    return RunOptions(suite, Folders(*folders), tuple(overrides), offline=offline, max_runs=MAX_RUNS)


def _placed(
    run: "RunOptions", gpus: int | None, workers: int | None, threads: int | None, timeout: float | None
) -> "RunOptions":
    from dataclasses import replace

    return replace(run, gpus=gpus, workers=workers, threads=threads, timeout=timeout)


@baseline_app.command()
def accept(
    suite: SuitePath,
    baseline: BaselineFile = None,
    allow: Annotated[
        list[str],
        typer.Option("--allow", metavar="WHAT", help="Accept in spite of: stand_in, dirty, failed, mixed."),
    ] = [],  # noqa: B006
    reuse: Reuse = False,
    overrides: Set = [],  # noqa: B006
    offline: Offline = False,
    data: Data = None,
    gpus: Gpus = None,
    workers: Workers = None,
    threads: Threads = None,
    timeout: Timeout = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
) -> None:
    """Measure this code and write what later nights are held against. Read the file's diff before you commit it."""
    look_in(data)
    from bench.commands.baseline import AcceptOptions
    from bench.commands.baseline import accept as command

    run = _placed(_run_options(suite, (results, reports), overrides, offline), gpus, workers, threads, timeout)
    raise typer.Exit(command(AcceptOptions(run, baseline, tuple(allow), reuse)))


@baseline_app.command()
def history(
    suite: Annotated[str, typer.Argument(metavar="NAME", help="A suite's name.")],
    place: History = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    json: Json = False,
) -> None:
    """The nights that were kept, the steps in them, and their page."""
    from bench.commands.baseline import history as command
    from bench.commands.suites import Folders

    raise typer.Exit(command(suite, Folders(results, reports), place or results / "history", json))
