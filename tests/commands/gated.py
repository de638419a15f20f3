"""Records that a gate would have measured, made up: for tests of its commands."""

import dataclasses
from pathlib import Path

from bench.execute.gpus import count_gpus
from bench.gate.workplace import workplace
from bench.provenance import describe
from bench.store import Store
from tests.commands.conftest import SMALL
from tests.made_up import rescored

FIVE = SMALL.replace("repeats: 2", "repeats: 5")
BASELINE = Path("results/baselines/small.json")


def here(**others):
    """Where the gate measures on this machine."""
    return workplace(Path("results"), {**describe(), "on_gpu": count_gpus() > 0, **others})


def change(plan, store: Store, by, strategy="linear_probe", status="ok"):
    """The scores of a strategy's finals on the first task."""
    cell = next(cell for cell in plan.cells if cell.strategy == strategy)
    for number, key in enumerate(cell.finals):
        record = store.read(key)
        result = rescored(record.result, min(1.0, max(0.0, record.result["score"] + by[number % len(by)])))
        error = None if status == "ok" else "RuntimeError: planted"
        store.write(dataclasses.replace(record, result=result if status == "ok" else {}, status=status, error=error))
    return cell


def raised(plan, store):
    """So that a drop has somewhere to go."""
    for cell in plan.cells:
        for number, key in enumerate(cell.finals):
            record = store.read(key)
            store.write(dataclasses.replace(record, result=rescored(record.result, 0.8 + number / 1000)))
