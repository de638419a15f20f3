"""The second gate: seconds and memory. Only on one model of device; never for wall time on shared machines."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from bench.analysis.statistics import LEVEL, Interval, mean_interval, separated, t_quantile
from bench.gate.baseline import BadBaseline, Baseline, NoBaseline, Row
from bench.gate.tonight import Tonight, TonightCell
from bench.gate.verdict import CostVerdict
from bench.store.atomic import explain

ONE_MEASUREMENT = "its repeats trained as one, which is one measurement"
FACTOR = 1.1
Quantity = Literal["seconds", "memory", "benchmark"]


def compare_costs(baseline: Baseline, tonight: Tonight, factor: float = FACTOR) -> list[CostVerdict]:
    """Of every cell that both have, in the order of the suite: seconds, then memory where it was measured."""
    models = list(dict.fromkeys(origin.device_model for origin in tonight.origins))
    why = "" if models == [baseline.device_model] else f"device {baseline.device_model} -> {', '.join(models)}"
    known = baseline.cells()
    pairs = [(cell, known[cell.name]) for cell in tonight.cells if cell.name in known and cell.rows]
    return [one for cell, rows in pairs for one in _of_cell(cell, rows, why, factor)]


def _of_cell(cell: TonightCell, rows: Sequence[Row], why: str, factor: float) -> list[CostVerdict]:
    parts = rows[0].fingerprint.differences(cell.fingerprint)
    why = ", ".join([*([why] if why else []), *(f"other {part}" for part in parts)])
    shared = {row.repeat for row in rows} & set(cell.scores)
    together = [side for side, found in (("before", rows), ("tonight", cell.rows)) if _are_one(found)]
    verdicts = []
    for quantity in ("seconds", "memory"):
        before, after = (
            mean_interval(_cost(row, quantity) for row in side if row.repeat in shared) for side in (rows, cell.rows)
        )
        if before.n and after.n:
            why = why or ", ".join(f"{side}: {ONE_MEASUREMENT}" for side in together)
            verdicts.append(_verdict((str(cell.name), quantity), before, after, (why, factor)))
    return verdicts


def _are_one(rows: Sequence[Row]) -> bool:
    """Repeats that trained as one share its seconds equally, and its memory: their scatter is none."""
    return len(rows) > 1 and len({_cost(row, "seconds") for row in rows}) == 1


def _cost(row: Row, quantity: str) -> float:
    value = row.seconds if quantity == "seconds" else row.peak_memory_bytes
    return math.nan if value is None else float(value)


def _verdict(
    of: tuple[str, Quantity], before: Interval, after: Interval, rule: tuple[str, float]
) -> CostVerdict:
    """Slower or faster by more than the factor, and the intervals do not touch."""
    why, factor = rule
    if why:
        return CostVerdict(*of, "incomparable", why, before.mean, after.mean)
    reason = f"before: {before.remark}" if before.remark else f"tonight: {after.remark}" if after.remark else ""
    apart = separated(before, after)
    if apart and after.mean > factor * before.mean:
        return CostVerdict(*of, "slower", reason, before.mean, after.mean)
    if apart and before.mean > factor * after.mean:
        return CostVerdict(*of, "faster", reason, before.mean, after.mean)
    return CostVerdict(*of, "same", reason, before.mean, after.mean)


@dataclass(frozen=True)
class Benchmarks:
    """What a gate reads of a file of pytest-benchmark."""

    machine: str
    seconds: dict[str, Interval]


def compare_benchmarks(before: Path, after: Path, factor: float = FACTOR) -> list[CostVerdict]:
    """Two files of pytest-benchmark, by the same rule."""
    old, new = read_benchmarks(before), read_benchmarks(after)
    why = "" if old.machine == new.machine else f"machine {old.machine} -> {new.machine}"
    verdicts = []
    for name in dict.fromkeys([*new.seconds, *old.seconds]):
        was, now = old.seconds.get(name), new.seconds.get(name)
        if was is not None and now is not None:
            verdicts.append(_verdict((name, "benchmark"), was, now, (why, factor)))
        elif was is not None:
            verdicts.append(CostVerdict(name, "benchmark", "incomparable", f"not in {after}", before=was.mean))
        elif now is not None:
            verdicts.append(CostVerdict(name, "benchmark", "incomparable", f"not in {before}", after=now.mean))
    return verdicts


def read_benchmarks(path: Path) -> Benchmarks:
    """Raises BadBaseline with one line that says what is wrong with the file."""
    try:
        raw = json.loads(path.read_bytes().decode("utf-8"))
    except FileNotFoundError:
        raise NoBaseline(f"{path}: no such file of benchmarks") from None
    except OSError as error:
        raise BadBaseline(f"{path}: cannot be read: {explain(error)}") from None
    except (ValueError, RecursionError) as error:
        raise BadBaseline(f"{path}: not JSON: {error}") from None
    try:
        seconds = {str(one["fullname"]): _interval(one["stats"]) for one in raw["benchmarks"]}
        return Benchmarks(_machine(raw["machine_info"]), seconds)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise BadBaseline(f"{path}: not what pytest-benchmark writes: {type(error).__name__}: {error}") from None


def _interval(stats: dict[str, Any]) -> Interval:
    mean, sd, n = float(stats["mean"]), float(stats["stddev"]), int(stats["rounds"])
    if not (math.isfinite(mean) and math.isfinite(sd) and sd >= 0 and n > 0):
        raise ValueError(f"mean {mean}, stddev {sd}, rounds {n}")
    half = t_quantile((1 + LEVEL) / 2, n - 1) * sd / math.sqrt(n)  # NaN, no interval, from one round
    return Interval(mean, mean - half, mean + half, n, sd)


def _machine(info: dict[str, Any]) -> str:
    """The processor's name, or the kind of machine where it is unknown."""
    cpu = info.get("cpu") or {}
    return str(cpu.get("brand_raw") or info.get("processor") or info.get("machine") or "unknown")
