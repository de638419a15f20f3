"""Suites and their results from Python:

    import bench

    results = bench.run("suites/quickstart.yaml")     # or a mapping with the same keys
    results = bench.load("quickstart")                # what has run, by its name
    results.finals.groupby("strategy").score.mean()

In a script, `run` stands under `if __name__ == "__main__":`, as its workers import the script again.
"""

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.cells import cell_summary, records
from bench.analysis.comparison import Scores
from bench.analysis.frame import CELL, SuiteResults
from bench.analysis.headline import Findings, headline, more
from bench.commands.export import Format
from bench.commands.export import write as write_export
from bench.commands.run import RunOptions, most_trainings, part_taken, plan_with_all_it_needs, train
from bench.commands.suites import Folders, plan_of
from bench.errors import BenchError
from bench.planning.plan import Plan

RESULTS, REPORTS = Path("results"), Path("reports")
NAMELESS = Path("suite.yaml")  # what messages call a mapping; files that it names lie in the working folder
# Columns that are handles and tuples, or tell how the arithmetic was done; what they hold has a frame of its own.
INNER = [
    "curve", "similarity", "projection", "classes", "mix", "distance", "predictions", "precision_why", "frozen",
    "replicas", "whole",
]  # fmt: skip
EXPORTED = ("finals", "trials", "cells", "verdicts", "curves")
Suite = str | Path | Mapping[str, Any]


@dataclass(frozen=True)
class Results:
    """Tidy frames: a row for each planned training, whether it is there or not (`status`). The columns are described in
    `bench/analysis/frame.py`."""

    suite: SuiteResults

    @property
    def name(self) -> str:
        return self.suite.name

    @cached_property
    def finals(self) -> pd.DataFrame:
        """One row per task, strategy and repeat: test score, chosen rate, costs."""
        return self.suite.finals.drop(columns=[name for name in INNER if name in self.suite.finals])

    @cached_property
    def trials(self) -> pd.DataFrame:
        """One row per training of a search."""
        return self.suite.trials.drop(columns=[name for name in ("rungs", *INNER) if name in self.suite.trials])

    @cached_property
    def pretrainings(self) -> pd.DataFrame:
        return self.suite.pretrainings

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Test scores along the trainings, which chose nothing: one row per final and step."""
        rows = [
            {**{name: row[name] for name in (*CELL, "repeat")}, "step": step, "score": score}
            for row in records(self.suite.finals) for step, score in row["curve"] or ()
        ]  # fmt: skip
        return pd.DataFrame(rows, columns=[*CELL, "repeat", "step", "score"])

    @cached_property
    def cells(self) -> pd.DataFrame:
        """One row per task and strategy: mean, 95 % interval, repeats, mean costs."""
        return cell_summary(self.suite.finals)

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """Each strategy against training from scratch on the same task."""
        return pd.DataFrame(self._findings.verdicts)

    @property
    def answer(self) -> list[str]:
        """What the page says first, in sentences."""
        return [*headline(self.suite, self._findings), *more(self._findings)]

    def predictions(self, **where: Any) -> pd.DataFrame:
        """One row per final and test example, of those that kept them: what it is, what it was taken for. `where`:
        values of columns of `finals`, as `strategy="scratch"`."""
        finals = self.suite.finals
        for column, value in where.items():
            if column not in finals:
                known = ", ".join(map(str, self.finals.columns))
                raise BenchError(f"predictions: unknown column {column!r}; known: {known}")
            finals = finals[finals[column] == value]
        frames = [_predictions(row) for row in records(finals)]
        return pd.concat([_NO_PREDICTIONS, *(one for one in frames if one is not None)], ignore_index=True)

    def export(self, to: Format, folder: str | Path) -> list[Path]:
        """Files for other programs: one per frame, or one for all (json, markdown)."""
        frames = {name: getattr(self, name) for name in EXPORTED}
        return write_export(self.suite, frames, to, Path(folder))

    def export_to_mlflow(self, uri: str) -> tuple[int, int]:
        """A run for each final, in an experiment of the suite's name. How many were written, and how many were there.
        `uri`: of a server or a database, as mlflow takes it."""
        from bench.commands.mlflow_runs import write_runs

        return write_runs(self.name, self.finals, self.curves, uri)

    def page(self) -> str:
        """The report, as HTML."""
        from bench.report import render

        return render(self.suite)

    @cached_property
    def _findings(self) -> Findings:
        finals = self.suite.finals
        return Findings.of(self.suite, Scores.of(finals), records(self.cells))

    def _repr_html_(self) -> str:
        told = "".join(f"<p>{escape(sentence)}</p>" for sentence in headline(self.suite, self._findings))
        shown = self.cells[[*CELL, "mean", "low", "high", "n"]] if len(self.cells) else self.cells
        return f"<h3>{escape(self.name)}</h3>{told}{shown.to_html(index=False, float_format='{:.3f}'.format)}"


_NO_PREDICTIONS = pd.DataFrame({
    **{name: pd.Series(dtype="str") for name in CELL}, "repeat": pd.Series(dtype="int64"),
    "example": pd.Series(dtype="int64"), "right": pd.Series(dtype="bool"), "truth": pd.Series(dtype="Int64"),
    "predicted": pd.Series(dtype="Int64"),
})  # fmt: skip


def _predictions(row: dict[str, Any]) -> pd.DataFrame | None:
    """`example`: its place in the test split, or in the pool that test splits are drawn from."""
    told = row["predictions"].load() if row["predictions"] is not None else None
    if told is None:
        return None
    known = {"truth": told.truth, "predicted": told.classes}
    return pd.DataFrame({
        **{name: row[name] for name in (*CELL, "repeat")},
        "example": range(len(told)) if told.images is None else told.images.astype("int64"), "right": told.right,
        **{name: pd.Series(values, dtype="Int64") for name, values in known.items()},
    })  # fmt: skip


def plan(
    suite: Suite, *, overrides: Sequence[str] = (), results: str | Path = RESULTS, offline: bool = False
) -> Plan:
    """What a suite comes to, cell by cell and training by training; nothing is trained."""
    return plan_with_all_it_needs(_options(suite, overrides, results, REPORTS, offline=offline))[0]


def run(
    suite: Suite, *, overrides: Sequence[str] = (), results: str | Path = RESULTS, reports: str | Path | None = None,
    **settings: Any,
) -> Results:  # fmt: skip
    """Run what is missing and give all results. `settings`: options of `python -m bench run` by their names, as
    `workers=2`. With `reports` its page is written into that folder. What went wrong is a row with its status."""
    options = _options(suite, overrides, results, reports or REPORTS, **settings)
    whole, stand_in_for = plan_with_all_it_needs(options)
    train(whole, part_taken(whole, options), options, stand_in_for)
    found = Results(_collected(whole, options.folders))
    if reports is not None:
        from bench.report import write

        write(found.suite, options.folders.report(found.name))
    return found


def load(suite: Suite, *, overrides: Sequence[str] = (), results: str | Path = RESULTS) -> Results:
    """The results of a suite: its file or mapping, or the name of one that has run."""
    folders = Folders(Path(results), REPORTS)
    if isinstance(suite, Mapping):
        return Results(_collected(plan(suite, overrides=overrides, results=results), folders))
    return Results(_collected(plan_of(str(suite), overrides, folders), folders))


def _options(
    suite: Suite, overrides: Sequence[str], results: str | Path, reports: str | Path, **settings: Any
) -> RunOptions:
    path, text = (NAMELESS, _as_text(suite)) if isinstance(suite, Mapping) else (Path(suite), None)
    folders = Folders(Path(results), Path(reports))
    typed = (*overrides, *most_trainings(settings.pop("max_runs", None)))
    given = {**settings, "filters": tuple(settings.get("filters", ()))}
    return RunOptions(path, folders, typed, text=text, **given)


def _as_text(suite: Mapping[str, Any]) -> str:
    """As a file would have it, so that it is checked, kept and shown as one."""
    from ruamel.yaml import YAML

    stream = io.StringIO()
    YAML(typ="safe", pure=True).dump(dict(suite), stream)
    return stream.getvalue()


def _collected(made: Plan, folders: Folders) -> SuiteResults:
    from bench.analysis.join import collect

    roots = folders.roots(made.loaded.suite.name)
    return collect(made, roots.store, roots.shared)
