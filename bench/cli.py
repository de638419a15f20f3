"""The command line: every command and option, and nothing else. Each hands over to its file in `commands/`."""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

import typer

from bench import __version__
from bench.cli_gate import baseline_app, gate
from bench.cli_travel import compare, export, splits_app, winner
from bench.cli_types import (
    REPORTS,
    RESULTS,
    Budget,
    Cache,
    Data,
    Executor,
    Figures,
    Filter,
    Gpus,
    Json,
    MaxRuns,
    Offline,
    RayAddress,
    Reports,
    Results,
    RunOrSuite,
    Set,
    Shard,
    SuiteOrRun,
    SuitePath,
    Threads,
    Timeout,
    Workers,
    keep_in,
    look_in,
)
from bench.commands.endings import ending
from bench.commands.output import flush, note, say
from bench.errors import REFUSED

NAME, SCRIPT = "python -m bench", "transfer-bench"
# Every variable that this code reads (tests/commands/test_way_in.py).
ENVIRONMENT = " ".join([
    "Environment:",
    "BENCH_DATA: folders of data sets and weights (one:two), as --data.",
    "BENCH_CACHE: a folder for decoded data and features, as --cache; beside the records if not set.",
    "XDG_CACHE_HOME: what is remembered of this machine, and downloads; ~/.cache if not set.",
    "HF_HUB_OFFLINE=1: fetch nothing, as --offline. HF_HOME, HF_HUB_CACHE, HF_DATASETS_CACHE:",
    "where the hub's files lie. HF_ENDPOINT: a mirror of the hub. CUDA_VISIBLE_DEVICES: which GPUs there are.",
    "BENCH_NODE: on a node of a Ray cluster, the folder for what is sent there.",
    "HTTPS_PROXY, ALL_PROXY: the way out. COLUMNS: characters of a line.",
])
app = typer.Typer(
    name=NAME,
    help="Compare transfer-learning strategies fairly. Start with: python -m bench run quickstart",
    no_args_is_help=True,
    epilog=ENVIRONMENT,
    add_completion=False,  # `completion` prints the script: nobody's start-up files are changed
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# What typer raises for wrong arguments; it exports this child of it alone.
USAGE_ERROR: type[Exception] = typer.BadParameter.__mro__[1]


def _print_version(wanted: bool) -> None:
    if wanted:
        say(f"transfer-bench {__version__}")
        raise typer.Exit


@app.callback()
def options_of_all(
    version: Annotated[
        bool, typer.Option("--version", "-V", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass  # the option acts when it is read


@app.command()
def run(
    suite: SuitePath,
    overrides: Set = [],  # noqa: B006  typer copies it
    filters: Filter = [],  # noqa: B006
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and stop.")] = False,
    shard: Shard = None,
    budget: Budget = None,
    rerun: Annotated[
        Literal["failed", "all"] | None, typer.Option("--rerun", help="Make failed, or all, records again.")
    ] = None,
    offline: Offline = False,
    stand_in: Annotated[
        bool, typer.Option("--stand-in", help="Rehearse on embedded data what this machine lacks the data for.")
    ] = False,
    data: Data = None,
    gpus: Gpus = None,
    workers: Workers = None,
    threads: Threads = None,
    timeout: Timeout = None,
    executor: Executor = "local",
    ray_address: RayAddress = "auto",
    max_runs: MaxRuns = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    cache: Cache = None,
    json: Json = False,
) -> None:
    """Run what is missing of a suite, then print its table and write its report."""
    look_in(data)
    keep_in(cache)
    from bench.commands.run import RunOptions, most_trainings
    from bench.commands.run import run as command
    from bench.commands.suites import Folders

    options = RunOptions(
        suite=suite, folders=Folders(results, reports), overrides=(*overrides, *most_trainings(max_runs)),
        filters=tuple(filters), dry_run=dry_run, shard=shard, budget=budget, rerun=rerun, offline=offline,
        stand_in=stand_in, workers=workers, gpus=gpus, threads=threads, timeout=timeout, executor=executor,
        ray_address=ray_address, json=json,
    )  # fmt: skip
    raise typer.Exit(command(options))


@app.command()
def plan(
    suite: RunOrSuite,
    overrides: Set = [],  # noqa: B006
    filters: Filter = [],  # noqa: B006
    data: Data = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Cells, trainings and time of a suite, and what it lacks, before anything starts."""
    look_in(data)
    from bench.commands.plan import show_plan
    from bench.commands.suites import Folders, plan_of, run_or_suite

    folders = Folders(results, REPORTS)
    made = plan_of(run_or_suite(suite, folders), overrides, folders)
    raise typer.Exit(show_plan(made.select(filters) if filters else made, folders, json))


@app.command()
def slurm(
    suite: SuitePath,
    tasks: Annotated[int, typer.Option("--tasks", min=1, help="How many tasks share the suite.")],
    cap: Annotated[int | None, typer.Option("--cap", min=1, help="How many of them may run at once.")] = None,
    gpus: Annotated[int | None, typer.Option("--gpus-per-task", min=1, help="GPUs of each.")] = None,
    cpus: Annotated[int | None, typer.Option("--cpus-per-task", min=1, help="Cores of each.")] = None,
    time: Annotated[str | None, typer.Option("--time", metavar="HH:MM:SS", help="Limit of each.")] = None,
    overrides: Set = [],  # noqa: B006
    filters: Filter = [],  # noqa: B006
    offline: Offline = False,
    data: Data = None,
    max_runs: MaxRuns = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    cache: Cache = None,
) -> None:
    """Print a job array for Slurm's `sbatch`: a part of the suite for each task, one page in the end."""
    look_in(data)
    from bench.commands.run import RunOptions, most_trainings
    from bench.commands.slurm import Tasks, show_script
    from bench.commands.suites import Folders

    options = RunOptions(
        suite=suite, folders=Folders(results, reports), overrides=(*overrides, *most_trainings(max_runs)),
        filters=tuple(filters), offline=offline,
    )  # fmt: skip
    raise typer.Exit(show_script(options, Tasks(tasks, cap, gpus, cpus, time, data, cache)))


@app.command()
def fetch(suite: SuitePath, overrides: Set = [], data: Data = None, results: Results = RESULTS) -> None:  # noqa: B006
    """Get all that a suite names and this machine lacks."""
    from bench.commands.fetch import fetch_all
    from bench.commands.suites import Folders

    look_in(data)
    raise typer.Exit(fetch_all(suite, tuple(overrides), Folders(results, REPORTS)))


@app.command()
def init(
    data: Annotated[Path, typer.Argument(metavar="DATA", help="A folder, a table or an .npz file of yours.")],
    output: Annotated[Path, typer.Option("--output", metavar="FILE", help="The suite to write.")] = Path("suite.yaml"),
    force: Annotated[bool, typer.Option("--force", help="Replace the file where it is there.")] = False,
) -> None:
    """Look at your own data and write a suite for them."""
    from bench.commands.init import write_suite

    raise typer.Exit(write_suite(data, output, force))


@app.command(name="list")
def list_(
    what: Annotated[
        Literal["suites", "datasets", "backbones", "strategies", "references", "runs"], typer.Argument(metavar="WHAT")
    ],
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, with all its options.")] = None,
    timm: Annotated[
        str | None, typer.Option("--timm", metavar="GLOB", help="Backbones: timm's whose names match, as 'resnet*'.")
    ] = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """What there is: suites | datasets | backbones | strategies | references (published values) | runs."""
    from bench.commands.list import show_list

    raise typer.Exit(show_list(what, name, timm, (results, json)))


@app.command()
def status(suite: SuiteOrRun, results: Results = RESULTS, json: Json = False) -> None:
    """How far a run is, and what went wrong."""
    from bench.commands.status import show_status
    from bench.commands.suites import Folders

    raise typer.Exit(show_status(suite, Folders(results, REPORTS), json))


@app.command()
def show(
    key: Annotated[str, typer.Argument(metavar="KEY", help="A record's key, or its first characters.")],
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """One record in full."""
    from bench.commands.show import show_record

    raise typer.Exit(show_record(key, results, json))


@app.command()
def report(
    suite: Annotated[str | None, typer.Argument(metavar="[SUITE]", help="Leave out for every suite that ran.")] = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    figures: Figures = None,
    json: Json = False,
) -> None:
    """Write reports from the records."""
    from bench.commands.report import write_reports
    from bench.commands.suites import Folders

    raise typer.Exit(write_reports(suite, Folders(results, reports), figures, json))


@app.command()
def schema(
    markdown: Annotated[bool, typer.Option("--markdown", help="The reference for people instead.")] = False,
) -> None:
    """JSON Schema of suite files, for editors."""
    from bench.commands.schema import show_schema

    raise typer.Exit(show_schema(markdown))


@app.command()
def completion(
    shell: Annotated[Literal["bash", "zsh", "fish"], typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """A script that completes `transfer-bench` in your shell, with the line that installs it."""
    from bench.commands.completion import show_completion

    raise typer.Exit(show_completion(shell))


@app.command()
def doctor(results: Results = RESULTS, json: Json = False) -> None:
    """What on this machine will not work, and why."""
    from bench.commands.doctor import examine

    raise typer.Exit(examine(results, json))


app.command()(winner)
app.command()(export)
app.command()(compare)
app.add_typer(splits_app, name="splits")
app.command()(gate)
app.add_typer(baseline_app, name="baseline")


def main() -> None:
    """Whatever happens is one message and an exit code that says it."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed by whoever started this: nobody reads
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115, PTH123
        elif isinstance(stream, io.TextIOWrapper):  # a name the terminal's encoding lacks must not end a run
            stream.reconfigure(errors="backslashreplace")
    code = _code_of(_command)
    unprinted = _code_of(flush)
    sys.exit(code or unprinted)


def _command() -> None:
    command = typer.main.get_command(app)
    if "_TRANSFER_BENCH_COMPLETE" in os.environ:
        from bench.commands.completion import answer

        raise typer.Exit(answer(command))
    with command.make_context(_typed(), sys.argv[1:]) as context:
        command.invoke(context)


def _typed() -> str:
    """What usage lines begin with: the console script, where that was called."""
    script = Path(sys.argv[0]).stem
    return script if script == SCRIPT else NAME


def _code_of(act: Callable[[], None]) -> int:
    try:
        act()
        return 0
    except typer.Exit as done:
        return done.exit_code
    except USAGE_ERROR as error:
        return _refuse(_worded(error), REFUSED)
    except BaseException as error:
        return _refuse(*ending(error))


def _worded(error: Exception) -> str:
    """typer's own refusal on one line, with where to read on. Without any argument, typer has printed the help."""
    text = " ".join(error.format_message().split()).replace("Value error, ", "")  # type: ignore[attr-defined]
    context = getattr(error, "ctx", None)
    if not text or context is None:
        return text
    return f"{text}{'' if text[-1] in '.?!' else '.'} See {context.command_path} --help"


def _refuse(text: str, code: int) -> int:
    for line in text.splitlines():
        note(line)
    return code
