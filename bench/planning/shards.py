"""The part of a plan that one of several processes takes: `run --shard 3/16`.

It is a function of the plan alone, not of what is done already, so processes that never speak to each other cut alike,
and one that is started again takes the same part.
"""

import math
import re
from collections import defaultdict
from dataclasses import dataclass

from bench.errors import BenchError
from bench.planning.plan import Cell, Plan
from bench.planning.work import Estimator


@dataclass(frozen=True)
class Shard:
    number: int  # from 1; 0: the pretrainings alone
    count: int

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


def read_shard(text: str) -> Shard:
    found = re.fullmatch(r"([0-9]{1,6})/([0-9]{1,6})", text)
    number, count = map(int, found.groups()) if found else (1, 0)
    if not 0 <= number <= count or count == 0:
        raise BenchError(f"--shard {text}: expected K/N with K from 1 to N, as 3/16; 0/N is the pretrainings alone")
    return Shard(number, count)


def part_of(plan: Plan, shard: Shard) -> Plan:
    """Pieces go, the largest first and equal ones in the plan's order, to the shard that has the least work so far. A
    pretraining belongs to every shard that needs it: the first to come makes it, the others find it or wait."""
    if shard.number == 0:
        return plan.pretrainings()
    work = Estimator.of(plan).work
    loads = [0.0] * shard.count
    taken: set[str] = set()
    # `fsum`: the same whatever the order, and every process has to come to the same.
    sizes = {name: math.fsum(work(plan.jobs[key]) * len(plan.jobs[key].record_keys) for key in _keys(cells))
             for name, cells in pieces_of(plan).items()}  # fmt: skip
    for name in sorted(sizes, key=lambda name: -sizes[name]):
        least = loads.index(min(loads))
        loads[least] += sizes[name]
        if least == shard.number - 1:
            taken.add(name)
    return plan.of(tuple(cell for cell in plan.cells if _piece(cell) in taken))


def pieces_of(plan: Plan) -> dict[str, list[Cell]]:
    """Cells that must stay together, by the name of the piece. A cell stays whole, since its repeats share a search or
    train in one fleet; so do cells with one search between them."""
    pieces: defaultdict[str, list[Cell]] = defaultdict(list)
    for cell in plan.cells:
        pieces[_piece(cell)].append(cell)
    return dict(pieces)


def _piece(cell: Cell) -> str:
    return cell.searches[0]  # no final is shared by cells that search differently: it needs its search


def _keys(cells: list[Cell]) -> set[str]:
    return {key for cell in cells for key in (*cell.searches, *cell.finals, *cell.unchosen)}
