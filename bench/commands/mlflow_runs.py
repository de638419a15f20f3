"""Finals as runs of MLflow, with its own client: one run per final, in one experiment per suite. The only file that
imports mlflow."""

import contextlib
import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.analysis.cells import records
from bench.analysis.frame import CELL
from bench.errors import BenchError, StoreError
from bench.keys import digest

if TYPE_CHECKING:
    from mlflow import MlflowClient

PARAMS = (*CELL, "repeat", "lr", "weight_decay", "penalty", "options")
TAGS = ("status", "metric", "key", "error")
METRICS = (
    "score", "shift_score", "best_on_test", "train_loss_end", "seconds", "feature_seconds", "steps", "samples", "flops",
    "trainable_params", "total_params", "peak_memory_bytes",
)  # fmt: skip
CURVE = "test_score"  # along the training, by step
FINAL, CONTENT = "bench.final", "bench.content"  # tags: which final it is; a digest of all that was written of it
LONGEST = 5000  # characters that every server takes in a tag
PAGE, BATCH = 1000, 500  # runs of one answer, metrics of one request


def write_runs(name: str, finals: pd.DataFrame, curves: pd.DataFrame, uri: str) -> tuple[int, int]:
    """How many runs were written, and how many were there. A run of other content, or one that was cut off, is
    replaced."""
    with _told(uri):
        client = _client(uri)
        experiment = _experiment(client, name)
        there = dict(_runs(client, experiment))
        along: dict[tuple[Any, ...], list[tuple[int, float]]] = {}
        for point in records(curves):
            place = tuple(point[column] for column in (*CELL, "repeat"))
            along.setdefault(place, []).append((point["step"], point["score"]))
        new = 0
        rows = [row for row in records(finals) if row["status"] != "missing"]
        for row in rows:
            place = tuple(row[column] for column in (*CELL, "repeat"))
            final, curve = digest(list(place)), along.get(place, [])
            content = digest([[str(value) for value in row.values()], [[str(one) for one in point] for point in curve]])
            old, known = there.get(final, ("", ""))
            if known == content:
                continue
            if old:
                client.delete_run(old)
            _write(client, experiment, row, {FINAL: final, CONTENT: content}, curve)
            new += 1
        return new, len(rows) - new


def _client(uri: str) -> "MlflowClient":
    try:
        from mlflow import MlflowClient
    except ImportError:
        raise BenchError("--to mlflow needs mlflow: pip install 'transfer-bench[mlflow]'") from None
    return MlflowClient(tracking_uri=uri)


def local(folder: Path) -> str:
    """The address of a database in this folder: what `mlflow ui --backend-store-uri` takes."""
    return f"sqlite:///{(folder / 'mlflow.db').absolute()}"


@contextlib.contextmanager
def _told(uri: str) -> Iterator[None]:
    """Its client prints while it makes a database, and has errors of its own."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    except BenchError:
        raise
    except Exception as error:
        kinds = {one.__name__ for one in type(error).__mro__}
        if not kinds & {"MlflowException", "RequestException", "OSError", "SQLAlchemyError"}:
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise StoreError(f"mlflow at {uri}: {lines[0]}") from error


def _experiment(client: "MlflowClient", name: str) -> str:
    found = client.get_experiment_by_name(name)
    if found is None:
        return str(client.create_experiment(name))
    if found.lifecycle_stage != "active":
        raise BenchError(f"mlflow's experiment {name!r} has been deleted: restore it there, or delete it for good")
    return str(found.experiment_id)


def _runs(client: "MlflowClient", experiment: str) -> Iterator[tuple[str, tuple[str, str]]]:
    """By the final that it is of: its id, and the digest of its content."""
    token = None
    while True:
        found = client.search_runs([experiment], max_results=PAGE, page_token=token)
        for run in found:
            if FINAL in run.data.tags:
                yield run.data.tags[FINAL], (run.info.run_id, run.data.tags.get(CONTENT, ""))
        token = found.token
        if not token:
            return


def _write(
    client: "MlflowClient", experiment: str, row: dict[str, Any], marks: dict[str, str], curve: list[tuple[int, float]]
) -> None:
    """The digest of the content comes last: a run without it was cut off."""
    from mlflow.entities import Metric, Param, RunTag

    run = client.create_run(experiment, run_name=row["key"], tags={FINAL: marks[FINAL]}).info.run_id
    params = [Param(name, str(row[name])) for name in PARAMS if _is_there(row[name])]
    tags = [RunTag(name, str(row[name])[:LONGEST]) for name in TAGS if row[name]]
    step = int(row["steps"]) if _is_there(row["steps"]) else 0
    metrics = [Metric(name, float(row[name]), 0, step) for name in METRICS if _is_there(row[name])]
    metrics += [Metric(CURVE, float(score), 0, int(at)) for at, score in curve if _is_there(score)]
    client.log_batch(run, metrics[:BATCH], params, tags)
    for start in range(BATCH, len(metrics), BATCH):
        client.log_batch(run, metrics[start : start + BATCH])
    client.set_terminated(run, "FINISHED" if row["status"] == "ok" else "FAILED")
    client.set_tag(run, CONTENT, marks[CONTENT])


def _is_there(value: Any) -> bool:
    return not (value == "" or (isinstance(value, float) and not math.isfinite(value)))
