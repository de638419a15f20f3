"""`bench show`: one record in full, by its key or the first characters of it."""

import re
from pathlib import Path
from typing import Any

from bench.commands.output import as_json, say, table, write
from bench.commands.suites import check_readable
from bench.errors import BenchError, StoreError
from bench.store import Damaged, Record, Store
from bench.store.reading import load, load_as
from bench.store.store import DAMAGED

SHORTEST = 4  # characters; fewer would rarely mean one record
MANY = 10  # candidates that a message names
LIST_WIDTH = 12  # numbers of a list that are shown


def show_record(key: str, results: Path, json: bool) -> int:
    path = _the_one(key, results)
    is_aside = path.parent.name == DAMAGED
    record = load_as(path, path.name.partition(".")[0]) if is_aside else load(path)
    if is_aside or not isinstance(record, Record):
        reason = record.reason if isinstance(record, Damaged) else "gone" if record is None else "moved aside"
        if json:
            as_json({"key": path.name.partition(".")[0], "file": str(path), "damaged": reason})
        raise StoreError(f"{path}: damaged record, counted as absent: {reason}")
    if json:
        write(path.read_bytes())  # as it lies there, whatever the terminal's encoding
    else:
        _print(record, path)
    return 0


def _the_one(typed: str, results: Path) -> Path:
    """`KEY`, or `SUITE/KEY` where two suites hold the same record."""
    suite, _, prefix = typed.rpartition("/")
    prefix = prefix.lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST},32}}", prefix):
        raise BenchError(f"{typed!r} is no key: expected at least {SHORTEST} of its 32 digits 0-9 a-f, or SUITE/KEY")
    check_readable(results)
    folders = sorted(path for path in results.glob("*/runs") if suite in ("", path.parent.name))
    found = [path for folder in folders for path in sorted((folder / prefix[:2]).glob(f"{prefix}*.json"))]
    aside = [path for folder in folders for path in sorted(Store(folder.parent).damaged.glob(f"{prefix}*"))]
    if not found and aside:
        return aside[-1]
    if not found:
        raise BenchError(f"no record {typed!r} in {results}; `python -m bench status SUITE` names those of a run "
                         "that went wrong, reports those of all")
    if len(found) > 1:
        names = [f"{path.parents[2].name}/{path.stem}" for path in found]
        more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
        raise BenchError(f"{typed!r} stands for {len(names)} records: {', '.join(names[:MANY])}{more}")
    return found[0]


def _print(record: Record, path: Path) -> None:
    early = record.left_early
    say(f"{record.kind} {record.key}: {record.status}{', left after {} of {} steps'.format(*early) if early else ''}")
    say(str(path))
    if record.error:
        say(f"error: {record.error}")
    # The next ones are tables and texts of their own, below.
    result = {name: value for name, value in record.result.items() if name not in ("curve", "rungs", "traceback")}
    for title, section in (("what", record.spec), ("result", result), ("cost", record.cost),
                           ("provenance", record.provenance)):
        _section(title, section)
    _curve(record.result.get("rungs"))
    _curve(record.result.get("curve"))
    if isinstance(trace := record.result.get("traceback"), str):
        say()
        for line in trace.splitlines():
            say(line)


def _section(title: str, values: dict[str, Any]) -> None:
    if values:
        say()
        table([title, ""], [[name, short(value)] for name, value in values.items()])


def _curve(points: Any) -> None:
    if not isinstance(points, list) or not all(isinstance(point, dict) for point in points) or not points:
        return
    columns = sorted(points[0], key=lambda column: column != "step")
    say()
    table(columns, [[short(point.get(column)) for column in columns] for point in points])


def short(value: Any) -> str:
    """A value on one line: `name=near, options=(seed=0, style=0), num_classes=10`."""
    if isinstance(value, dict):
        return ", ".join(f"{name}={_nested(one)}" for name, one in value.items()) or "none"
    if isinstance(value, list):
        shown = [_nested(one) for one in value[:LIST_WIDTH]]
        return " ".join([*shown, f"... ({len(value)})"] if len(value) > LIST_WIDTH else shown) or "none"
    if isinstance(value, float):
        return f"{value:.6g}"
    if value is None or isinstance(value, bool):
        return {None: "-", True: "yes", False: "no"}[value]
    return str(value)


def _nested(value: Any) -> str:
    return f"({short(value)})" if isinstance(value, dict | list) and value else short(value)
