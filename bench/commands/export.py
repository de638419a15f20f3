"""`bench export`: results for other programs. `mlflow_runs.py` writes the runs of a tracking server."""

import hashlib
import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from bench.analysis.cells import cell_summary, records
from bench.analysis.frame import SuiteResults
from bench.analysis.terminal import terminal_rows
from bench.errors import BenchError, StoreError
from bench.store.atomic import explain, make_folder, write_bytes

Format = Literal["csv", "parquet", "json", "markdown"]
Frames = Mapping[str, pd.DataFrame]  # by name; each is a file
WRITTEN = "exported.json"  # the digest of each file that an export has left in its folder


def write(results: SuiteResults, frames: Frames, to: Format, folder: Path) -> list[Path]:
    """The files, which replace those that an export has left there and nothing else."""
    makers: dict[Format, Callable[[], dict[str, bytes]]] = {
        "csv": lambda: {f"{name}.csv": csv_of(frame).encode() for name, frame in frames.items()},
        "parquet": lambda: {f"{name}.parquet": parquet_of(frame) for name, frame in frames.items()},
        "json": lambda: {f"{results.name}.json": json_of(results, frames).encode()},
        "markdown": lambda: {f"{results.name}.md": markdown_of(results).encode()},
    }
    return put(makers[to](), folder)


def put(files: Mapping[str, bytes], folder: Path) -> list[Path]:
    """Nothing is written where one of them would replace what somebody else wrote or changed."""
    known = _known(folder)
    for name in files:
        path = folder / name
        if path.exists() and known.get(name) != _digest(_read(path)):
            raise BenchError(f"{path} is in the way: it was not written by an export, or has been changed since; "
                             "choose another folder with --output")
    make_folder(folder)
    listed = {**known, **{name: _digest(content) for name, content in files.items()}}
    for name, content in files.items():
        write_bytes(folder / name, content)
    write_bytes(folder / WRITTEN, (json.dumps(listed, indent=2, sort_keys=True) + "\n").encode())
    return [folder / name for name in files]


def _known(folder: Path) -> dict[str, str]:
    """Another file of that name lists nothing, so that it is in the way itself."""
    path = folder / WRITTEN
    if not path.exists():
        return {}
    try:
        found = json.loads(_read(path))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(one, str) for one in found.values()):
        raise BenchError(f"{path} is in the way: it was not written by an export; choose another folder with --output")
    return found


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {explain(error)}") from error


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def csv_of(frame: pd.DataFrame) -> str:
    """Every digit of a number; nothing where there is none. A text is quoted, an empty one too."""
    import csv

    return frame.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")


def parquet_of(frame: pd.DataFrame) -> bytes:
    try:
        import pyarrow  # noqa: F401  pandas' own message names no extra of ours
    except ImportError:
        raise BenchError("--to parquet needs pyarrow: pip install 'transfer-bench[data]'") from None
    return frame.to_parquet(index=False, engine="pyarrow")


def json_of(results: SuiteResults, frames: Frames) -> str:
    """An absent number is null, an infinite one the text "inf"."""
    content = {
        "suite": results.name, "settings": results.suite, "environments": results.provenance,
        **{name: [_plain(row) for row in records(frame)] for name, frame in frames.items()},
    }  # fmt: skip
    return json.dumps(content, indent=1, allow_nan=False) + "\n"


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    return {name: _number(value) if isinstance(value, float) else value for name, value in row.items()}


def _number(value: float) -> float | str | None:
    if math.isnan(value):
        return None
    return value if math.isfinite(value) else str(float(value))


def markdown_of(results: SuiteResults) -> str:
    """The table of means; tasks down where there are more of them than strategies."""
    tasks, rows = terminal_rows(records(cell_summary(results.finals)))
    several = len({backbone for _, _, backbone in tasks}) > 1
    names = [f"{dataset} @ {budget}" + (f" · {backbone}" if several else "") for dataset, budget, backbone in tasks]
    head, body = ["strategy", *names], [[name, *texts] for name, texts in rows]
    if len(tasks) > len(rows):
        head, body = ["task", *(row[0] for row in body)], [list(column) for column in zip(head, *body, strict=True)][1:]
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *body]
    table = "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)
    return f"**{_cell(results.name)}**: mean test score in %, its 95 % interval, and (repeats).\n\n{table}\n"


def _cell(text: str) -> str:
    """As a reader sees it, whatever its characters would mean."""
    plain = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\|`*_<[" else c for c in plain)
