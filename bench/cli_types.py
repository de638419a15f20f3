"""Options that several commands have, and what they mean to all of them."""

import os
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.errors import BenchError

SuitePath = Annotated[
    Path, typer.Argument(metavar="SUITE", help="A suite's YAML file, or a name that `list suites` shows.")
]
SuiteOrRun = Annotated[str, typer.Argument(metavar="SUITE", help="A suite's YAML file, or the name of one that ran.")]
RunOrSuite = Annotated[
    str, typer.Argument(metavar="SUITE", help="A YAML file, or a name: of one that ran, else of `list suites`.")
]
Set = Annotated[list[str], typer.Option("--set", metavar="KEY=VALUE", help="Replace a value of the suite.")]
Filter = Annotated[
    list[str],
    typer.Option("--filter", metavar="AXIS=GLOB", help="Only some cells: dataset=, budget=, backbone=, strategy=."),
]
Results = Annotated[Path, typer.Option("--results", metavar="DIR", help="Where records are kept.")]
Reports = Annotated[Path, typer.Option("--reports", metavar="DIR", help="Where reports are written.")]
Figures = Annotated[
    Path | None, typer.Option("--figures", metavar="DIR", help="Write each figure as SVG and PNG files, too.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Data = Annotated[
    Path | None, typer.Option("--data", metavar="DIR", help="Where data sets and weights lie, before BENCH_DATA.")
]
MaxRuns = Annotated[
    int | None, typer.Option("--max-runs", metavar="N", help="Trainings that are allowed: --set max_runs=N.")
]

Gpus = Annotated[int | None, typer.Option("--gpus", min=0, help="How many GPUs to use; 0: the CPU.")]
Workers = Annotated[int | None, typer.Option("--workers", min=1, help="Processes, in all or per GPU.")]
Threads = Annotated[int | None, typer.Option("--threads", min=1, help="Threads of each process.")]
Executor = Annotated[
    Literal["local", "ray"], typer.Option("--executor", help="Who trains: this machine, or the nodes of a Ray cluster.")
]
RayAddress = Annotated[
    str, typer.Option("--ray-address", metavar="ADDRESS", help="Its head's host:port; auto: the one that runs here.")
]
Timeout = Annotated[float | None, typer.Option(
    "--timeout", min=0.0, help="Seconds for one training; 0: no limit. Default: a day, or 20 times what was measured."
)]
Shard = Annotated[str | None, typer.Option(
    "--shard", metavar="K/N", help="Only the Kth of N equal parts, for one of N processes; 0/N: the pretrainings."
)]
Budget = Annotated[str | None, typer.Option(
    "--budget", metavar="TIME", help="End by then with as many repeats of all cells as fit: 30m, 2h, or 8gpuh."
)]
Cache = Annotated[Path | None, typer.Option(
    "--cache", metavar="DIR", help="Keep decoded data and features here, as on a node's own disk; before BENCH_CACHE."
)]
Offline = Annotated[bool, typer.Option("--offline", help="Fetch nothing.")]

RESULTS = Path("results")
REPORTS = Path("reports")


def look_in(data: Path | None) -> None:
    """--data for this process and all that it starts."""
    if data is not None:
        if not data.is_dir():
            raise BenchError(f"--data {data}: no such folder")
        os.environ["BENCH_DATA"] = os.pathsep.join(filter(None, [str(data.absolute()), os.environ.get("BENCH_DATA")]))


def keep_in(cache: Path | None) -> None:
    """--cache for this process and all that it starts."""
    if cache is not None:
        try:
            cache.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BenchError(f"--cache {cache}: {error.strerror}") from None
        os.environ["BENCH_CACHE"] = str(cache.absolute())
