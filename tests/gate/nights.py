"""Nights out of a table of scores, as `tonight_of` would make them of records."""

import numpy as np

from bench.gate.accept import snapshot
from bench.gate.baseline import Row
from bench.gate.environment import LIBRARIES, Environment
from bench.gate.fingerprint import Fingerprint
from bench.gate.pairs import Rule
from bench.gate.tonight import MadeBy, Tonight, TonightCell
from bench.gate.verdict import CellName

MARK = Fingerprint("d" * 8, "e" * 8, "5" * 8)
HERE = Environment("cpu", "x86_64", tuple("1.0" for _ in LIBRARIES))
ORIGIN = MadeBy(HERE, "a processor", "c" * 40, "f" * 16, False)
RULE = Rule(margin=0.5, must_see=2.0)


def names(groups, size):
    """`size` cells in each of so many groups."""
    return [CellName(f"set{g}", "5", "net", f"way{c}") for g in range(groups) for c in range(size)]


def night(table, cells, num_test=10_000, origin=ORIGIN, mark=MARK, **cell):
    """`table` [cells, repeats] of shares; NaN: no record."""
    return Tonight(
        suite="small",
        repeats=table.shape[1],
        cells=tuple(
            TonightCell(
                name=name,
                fingerprint=mark,
                rows=tuple(
                    Row(name, repeat, round(float(score), 9), "accuracy", num_test, mark, 1.0, 100)
                    for repeat, score in enumerate(scores) if np.isfinite(score)
                ),
                failures=cell.get("failures", {}),
                absent=tuple(int(r) for r in np.flatnonzero(~np.isfinite(scores))),
                environments=(origin.environment,),
            )
            for name, scores in zip(cells, table, strict=True)
        ),
        origins=(origin,),
    )  # fmt: skip


def accepted(table, cells, **more):
    return snapshot(night(table, cells, **more), "1970-01-01T00:00:00Z")
