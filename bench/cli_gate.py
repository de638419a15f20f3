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


Method = Annotated[
    Literal["pairs", "history"],
    typer.Option("--method", help="Against the baseline, or against the nights that were kept (20 or more)."),
]
Margin = Annotated[
    float | None, typer.Option("--margin", min=0, help="Points that a cell may drop; the suite's if not given.")
]
MustSee = Annotated[
    float | None, typer.Option("--must-see", min=0, help="A drop in points that the gate should be able to catch.")
]
FailOn = Annotated[str, typer.Option("--fail-on", metavar="WORDS", help="Verdicts that make the gate red.")]
Across = Annotated[
    bool, typer.Option("--across-environments", help="Compare although device or libraries are others.")
]
Fresh = Annotated[bool, typer.Option("--fresh", help="Measure again what this code has measured already.")]
Timing = Annotated[bool, typer.Option("--timing", help="Seconds and memory too, on the same model of device.")]
Benchmarks = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--benchmarks", metavar="BEFORE TONIGHT", help="Two JSON files of pytest-benchmark."),
]
Keep = Annotated[bool, typer.Option("--keep/--no-keep", help="Keep this night in the history.")]
Junit = Annotated[Path | None, typer.Option("--junit", metavar="FILE", help="Write JUnit XML.")]
Github = Annotated[bool, typer.Option("--github", help="Annotations and the step's summary.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Every cell, not only those that moved.")]


def gate(
    suite: SuitePath,
    baseline: BaselineFile = None,
    method: Method = "pairs",
    margin: Margin = None,
    must_see: MustSee = None,
    fail_on: FailOn = "regressed,missing",
    across_environments: Across = False,
    reuse: Reuse = False,
    fresh: Fresh = False,
    timing: Timing = False,
    benchmarks: Benchmarks = None,
    history: History = None,
    keep: Keep = True,
    junit: Junit = None,
    github: Github = False,
    overrides: Set = [],  # noqa: B006  typer copies it
    offline: Offline = False,
    data: Data = None,
    gpus: Gpus = None,
    workers: Workers = None,
    threads: Threads = None,
    timeout: Timeout = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    verbose: Verbose = False,
    json: Json = False,
) -> None:
    """Measure this code and hold it against the baseline: red only where something surely moved."""
    look_in(data)
    from bench.commands import gate as command
    from bench.commands.gate_outputs import Outputs

    run = _run(suite, (results, reports), (overrides, offline), (gpus, workers, threads, timeout))
    outputs = Outputs(history or results / "history", keep, junit, github, json, verbose)
    options = command.GateOptions(run, outputs, baseline, method, margin, must_see, fail_on, across_environments,
                                  reuse, fresh, timing, benchmarks)  # fmt: skip
    raise typer.Exit(command.gate(options))


def _run(
    suite: Path, folders: tuple[Path, Path], how: tuple[list[str], bool],
    placed: tuple[int | None, int | None, int | None, float | None],
) -> "RunOptions":
    """`how`: overrides, and whether nothing is fetched. `placed`: GPUs, workers, threads, seconds for a training."""
    from bench.commands.run import RunOptions
    from bench.commands.suites import Folders

    (overrides, offline), (gpus, workers, threads, timeout) = how, placed
    return RunOptions(
        suite, Folders(*folders), tuple(overrides), offline=offline, gpus=gpus, workers=workers, threads=threads,
        timeout=timeout,
    )  # fmt: skip


@baseline_app.command()
def accept(
    suite: SuitePath,
    baseline: BaselineFile = None,
    allow: Annotated[
        list[str],
        typer.Option(
            "--allow", metavar="WHAT", help="Accept in spite of: stand_in, dirty, failed, mixed, regressed, fewer."
        ),
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

    run = _run(suite, (results, reports), (overrides, offline), (gpus, workers, threads, timeout))
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
