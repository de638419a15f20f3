"""From tonight's records to a baseline, and what is refused on the way. The command line brings the time and the
permissions.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from bench.analysis.words import plural
from bench.errors import BenchError
from bench.gate.baseline import Baseline, Row
from bench.gate.compare import compare
from bench.gate.environment import differences
from bench.gate.lineage import descended
from bench.gate.pairs import Rule
from bench.gate.tonight import Tonight, TonightCell, tonight_of
from bench.gate.verdict import COMPARED, GateResult
from bench.planning.plan import Plan
from bench.store.record import Record

Allowance = Literal["stand_in", "dirty", "failed", "mixed", "regressed", "fewer"]
ALLOWANCES: tuple[Allowance, ...] = get_args(Allowance)
SHOWN = 5  # cells that a refusal names


class NotAcceptable(BenchError):
    """Tonight's results should not become a baseline. Carries every reason."""

    def __init__(self, suite: str, reasons: Mapping[Allowance, list[str]]) -> None:
        self.reasons = dict(reasons)
        lines = [f"{line} (to accept all the same: {name})" for name, found in reasons.items() for line in found]
        super().__init__("\n".join([f"{suite}: these results should not become a baseline:", *lines]))


@dataclass(frozen=True)
class Before:
    """What the new baseline takes the place of, and the rule by which it is held against that."""

    baseline: Baseline
    rule: Rule


class NothingFinished(BenchError):
    """Not one final of the suite has a score."""


def baseline_of(
    plan: Plan,
    records: Mapping[str, Record],
    accepted: str,
    allow: Collection[Allowance] = (),
    before: Before | None = None,
) -> Baseline:
    """`accepted`: the time, UTC. Raises NotAcceptable with all reasons but the allowed ones."""
    tonight = tonight_of(plan, records)
    held = compare(before.baseline, tonight, before.rule) if before is not None else None
    found = {name: lines for name, lines in reasons(tonight, held).items() if lines}
    refused = {name: lines for name, lines in found.items() if name not in allow}
    if refused:
        raise NotAcceptable(tonight.suite, refused)
    made = snapshot(tonight, accepted, tuple(found))
    return descended(made, before.baseline, held) if before is not None and held is not None else made


def snapshot(tonight: Tonight, accepted: str, allowed: Iterable[str] = ()) -> Baseline:
    """Whatever has finished, as it is."""
    rows: tuple[Row, ...] = tuple(row for cell in tonight.cells for row in cell.rows)
    if not rows:
        raise NothingFinished(f"{tonight.suite}: no result has finished, so there is nothing to keep")
    most = tonight.origins[0]
    return Baseline(
        suite=tonight.suite,
        accepted=accepted,
        environment=most.environment,
        device_model=most.device_model,
        commit=most.commit,
        code=most.code,
        dirty=any(one.dirty for one in tonight.origins) if most.dirty is not None else None,
        repeats=tonight.repeats,
        allowed=tuple(allowed),
        rows=rows,
    )


def reasons(tonight: Tonight, held: GateResult | None = None) -> dict[Allowance, list[str]]:
    """Against accepting; empty lists where there are none."""
    stand_ins = ["records of stand-ins, not of what the suite names: " + "; ".join(tonight.stand_ins)]
    commits = sorted({one.commit or "no commit" for one in tonight.origins if one.dirty})
    dirty = [f"records made by a tree with changes that are in no commit (on {', '.join(commits)})"]
    return {
        "stand_in": stand_ins if tonight.stand_ins else [],
        "dirty": dirty if commits else [],
        "failed": _failed(tonight.cells),
        "mixed": _mixed(tonight),
        "regressed": _regressed(held) if held is not None else [],
        "fewer": _fewer(held) if held is not None else [],
    }


def _regressed(held: GateResult) -> list[str]:
    fell = [v for v in [held.mean, *held.verdicts] if v is not None and v.word == "regressed"]
    return _some([
        f"{v.cell.strategy if v is held.mean else v.cell}: {100 * v.before:.2f} -> {100 * v.after:.2f} %"
        + (f" ({v.reason})" if v.reason else "") for v in fell
    ])  # fmt: skip


def _fewer(held: GateResult) -> list[str]:
    """What follows would be held against less than the baseline before it has."""
    fewer = [str(v.cell) for v in held.of(COMPARED) if not v.is_whole]
    return _some([f"{cell}: fewer repeats than the baseline before has" for cell in fewer])


def _failed(cells: Iterable[TonightCell]) -> list[str]:
    return _some([_gaps(cell) for cell in cells if (cell.failures or cell.absent) and not cell.unfit])


def _some(lines: list[str]) -> list[str]:
    more = [f"and {plural(len(lines) - SHOWN, 'more cell')}"] if len(lines) > SHOWN else []
    return [*lines[:SHOWN], *more]


def _gaps(cell: TonightCell) -> str:
    parts = [f"repeat {repeat} {text}" for repeat, text in cell.failures.items()]
    if cell.absent:
        parts.append(f"no record of repeat {', '.join(map(str, cell.absent))}")
    return f"{cell.name}: {'; '.join(parts)}"


def _mixed(tonight: Tonight) -> list[str]:
    lines = []
    environments = list(dict.fromkeys(one.environment for one in tonight.origins))
    if len(environments) > 1:
        differ = dict.fromkeys(text for other in environments[1:] for text in differences(environments[0], other))
        lines.append(f"records from {len(environments)} environments ({', '.join(differ)})")
    codes = sorted({one.code or "unknown" for one in tonight.origins})
    if len(codes) > 1:
        lines.append(f"records made by {len(codes)} versions of the code ({', '.join(codes)})")
    return lines
