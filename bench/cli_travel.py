"""The commands by which results leave for other programs, or meet others: options, and nothing else."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from bench.cli_types import REPORTS, RESULTS, Data, Json, Reports, Results, Set, SuiteOrRun, look_in

EXPORTS = Path("exports")
Output = Annotated[
    Path | None, typer.Option("--output", metavar="DIR", help="Where files are written; exports/<suite> if not given.")
]
splits_app = typer.Typer(help="Which examples a suite learns from, validates on and tests on: export, import.",
                         no_args_is_help=True)  # fmt: skip


def export(
    suite: SuiteOrRun,
    to: Annotated[Literal["csv", "parquet", "json", "markdown", "mlflow"], typer.Option("--to", help="The form.")],
    output: Output = None,
    uri: Annotated[
        str | None, typer.Option("--uri", metavar="URI", help="mlflow: a server, instead of a database in --output.")
    ] = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Write results for other programs: tables, one JSON file, a table for a README, or runs of MLflow."""
    from bench.api import load
    from bench.commands.output import as_json, say

    if uri is not None and to != "mlflow":
        raise typer.BadParameter("--uri goes with --to mlflow")
    found = load(suite, results=results)
    folder = output or EXPORTS / found.name
    if to == "mlflow":
        from bench.commands.mlflow_runs import local

        place = uri or local(folder)
        if uri is None:
            folder.mkdir(parents=True, exist_ok=True)
        new, old = found.export_to_mlflow(place)
        if json:
            as_json({"uri": place, "new": new, "already_there": old})
        else:
            say(f"mlflow: {new} runs written, {old} already there: {place}")
        return
    files = [str(path) for path in found.export(to, folder)]
    if json:
        as_json(files)
        return
    for path in files:
        say(f"{to}: {path}")


def winner(
    suite: SuiteOrRun,
    task: Annotated[
        str | None, typer.Option("--task", metavar="DATASET@BUDGET", help="Which task, where there are several.")
    ] = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", metavar="NAME", help="This one instead of what the page recommends.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option("--backbone", metavar="NAME", help="The network, where there are several.")
    ] = None,
    repeat: Annotated[int, typer.Option("--repeat", metavar="N", help="Which repeat's weights.")] = 0,
    output: Annotated[
        Path | None,
        typer.Option("--output", "--out", metavar="DIR", help="Where files are written; exports/<suite>/winner if not "
                     "given."),
    ] = None,
    data: Data = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Write the network that a finished suite recommends, to use elsewhere: weights, preprocessing, classes, a card and
    a script. It is trained again, as no run keeps weights, and held against its record. Exit code 3: it is another."""
    look_in(data)
    from bench.commands.suites import Folders
    from bench.commands.winner import write_winner
    from bench.winner.choice import Wanted

    wanted = Wanted(task, strategy, backbone, repeat)
    raise typer.Exit(write_winner(suite, wanted, output, Folders(results, REPORTS), json))


def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A suite's YAML file, or the name of one that ran.")],
    second: Annotated[
        str | None, typer.Argument(metavar="[B]", help="Another one; with --results-b, A again if not given.")
    ] = None,
    results_second: Annotated[
        Path | None, typer.Option("--results-b", metavar="DIR", help="Where the records of B are kept.")
    ] = None,
    margin: Annotated[
        float | None, typer.Option("--margin", min=0, help="Points within which B is as good; A's if not given.")
    ] = None,
    results: Results = RESULTS,
    reports: Reports = REPORTS,
    json: Json = False,
) -> None:
    """Two suites, or one in two results folders: cell by cell, paired by repeat, with a page."""
    from bench.commands.compare import CompareOptions
    from bench.commands.compare import compare as command
    from bench.commands.suites import Folders

    raise typer.Exit(command(CompareOptions(first, second, Folders(results, reports), results_second, margin, json)))


@splits_app.command(name="export")
def export_splits(
    suite: SuiteOrRun,
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Where files are written.")],
    to: Annotated[Literal["csv", "json"], typer.Option("--to", help="The form.")] = "csv",
    overrides: Set = [],  # noqa: B006  typer copies it
    data: Data = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Write which examples each repeat learns from, validates on and tests on, one file per data set."""
    look_in(data)
    from bench.commands.splits import export_splits as command
    from bench.commands.suites import Folders, plan_of

    folders = Folders(results, REPORTS)
    raise typer.Exit(command(plan_of(suite, overrides, folders), folder, to, folders, json))


@splits_app.command(name="import")
def import_splits(
    suite: Annotated[Path, typer.Argument(metavar="SUITE", help="Its data set has `splits: LIST`, which is written.")],
    files: Annotated[
        list[str],
        typer.Argument(metavar="FILE...", help="train=FILE validation=FILE test=FILE, or one .json or .npz of all."),
    ],
    dataset: Annotated[
        str | None, typer.Option("--dataset", metavar="NAME", help="Which, where several have `splits`.")
    ] = None,
    data: Data = None,
    results: Results = RESULTS,
    json: Json = False,
) -> None:
    """Make the list that a suite names of a published one, and hold it against the data.

    Text files have one example a line: "name label", as those of VTAB-1k, or an index into the split. JSON and .npz
    files have indices under train, val and test. Without test examples, the test split is tested on. What `splits
    export` writes needs no import: a suite names it as it is.
    """
    look_in(data)
    from bench.commands.splits_import import import_splits as command
    from bench.commands.suites import Folders

    raise typer.Exit(command(suite, files, dataset, Folders(results, REPORTS), json))
