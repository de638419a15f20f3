"""From a plan and records to a baseline, and back to tonight."""

import dataclasses

import pytest

from bench.execute.roots import Roots
from bench.gate.accept import ALLOWANCES, Before, NotAcceptable, NothingFinished, baseline_of
from bench.gate.fingerprint import fingerprint
from bench.gate.pairs import Rule
from bench.gate.tonight import tonight_of
from tests.commands import fabricate
from tests.planning.conftest import SMALL

WHEN = "1970-01-01T00:00:00Z"
PROVENANCE = {**fabricate.PROVENANCE, "code": "f" * 16}


@pytest.fixture
def made(plan, folder):
    """A plan and its records, changed as told: `change(record)` gives what to replace."""

    def make(change=lambda record: {}, without=()):
        whole = plan()
        records = fabricate.fabricate(whole, Roots(folder / "results", "small"))
        records = [dataclasses.replace(record, **{"provenance": PROVENANCE, **change(record)}) for record in records]
        return whole, {record.key: record for record in records if record.key not in without}

    return make


def test_every_finished_final_is_a_row(made):
    plan, records = made()
    baseline = baseline_of(plan, records, WHEN)
    assert len(baseline.rows) == len(plan.cells) * 2
    assert (baseline.suite, baseline.accepted, baseline.repeats, baseline.allowed) == ("small", WHEN, 2, ())
    assert (baseline.commit, baseline.code, baseline.dirty) == ("0" * 40, "f" * 16, False)
    assert baseline.device_model == "unknown"
    by_name = {(row.cell.strategy, row.cell.budget, row.repeat): row for row in baseline.rows}
    for cell in plan.cells:
        for repeat, key in enumerate(cell.finals):
            row = by_name[cell.strategy, cell.budget.text, repeat]
            assert row.score == records[key].result["score"]
            assert (row.metric, row.num_test, row.seconds, row.peak_memory_bytes) == ("accuracy", 103, 0.5, 1 << 20)
            assert row.fingerprint == fingerprint(plan, cell)
            final = records[key].final
            assert (row.lr, row.penalty, row.loss) == (final.lr, final.penalty, final.loss)
            learned = records[cell.pretrainings[repeat]].pretraining if cell.pretrainings else None
            made = learned.weights_sha256[:8] if learned is not None else None
            assert (row.weights, row.first) == (made, None)


def refused(plan, records):
    with pytest.raises(NotAcceptable) as caught:
        baseline_of(plan, records, WHEN)
    return caught.value


PROVENANCES = {
    "dirty": ({"dirty": True}, "in no commit"),
    "stand_in": ({"stand_in": ["dataset x: the embedded world near"]}, "dataset x: the embedded world near"),
    "mixed": ({"code": "0" * 16}, "2 versions of the code (0000000000000000, ffffffffffffffff)"),
}


@pytest.mark.parametrize("name", PROVENANCES)
def test_refused_for_one_record_unless_allowed(made, name):
    more, said = PROVENANCES[name]
    first = iter([more])
    plan, records = made(lambda record: {"provenance": {**PROVENANCE, **next(first, {})}})
    error = refused(plan, records)
    assert list(error.reasons) == [name]
    assert said in str(error)
    assert f"(to accept all the same: {name})" in str(error)
    assert baseline_of(plan, records, WHEN, [name]).allowed == (name,)


def test_another_environment_is_named(made):
    first = iter([{"device": "A GPU"}])
    plan, records = made(lambda record: {"provenance": {**PROVENANCE, **next(first, {})}})
    assert "records from 2 environments (device cpu -> A GPU)" in str(refused(plan, records))


def test_all_reasons_at_once(made):
    plan, records = made(lambda record: {
        "provenance": {**PROVENANCE, "dirty": True, "stand_in": ["x"], "code": record.key[:1]},
        **({"status": "failed", "result": {}, "error": "Boom: a\nb"} if record.kind == "final" else {}),
    })  # fmt: skip
    error = refused(plan, records)
    assert set(error.reasons) == set(ALLOWANCES) - {"regressed", "fewer"}, "there was no baseline before"
    assert "repeat 0 failed: Boom: a; repeat 1 failed: Boom: a" in str(error)
    assert "and 1 more cell (to accept all the same: failed)" in str(error)
    with pytest.raises(NothingFinished, match="nothing to keep"):
        baseline_of(plan, records, WHEN, ALLOWANCES)


def test_missing_records_are_refused_and_unfit_cells_left_out(made):
    whole, _ = made()
    gone, unfit = whole.cells[0], whole.cells[1]
    plan, records = made(
        lambda record: {"status": "not_applicable", "result": {}, "error": "no"} if record.key in unfit.finals else {},
        without=gone.finals[1:],
    )
    error = refused(plan, records)
    assert error.reasons == {"failed": [f"{gone.task} · {gone.backbone} · {gone.strategy}: no record of repeat 1"]}
    allowed = baseline_of(plan, records, WHEN, ["failed"])
    assert len(allowed.rows) == 2 * len(plan.cells) - 3
    assert unfit.strategy not in {row.cell.strategy for row in allowed.rows if row.cell.budget == unfit.budget.text}


def test_tonight_tells_what_went_wrong(made):
    whole, _ = made()
    broken = whole.cells[0].finals[1]
    plan, records = made(lambda record: (
        {"status": "oom", "result": {}, "error": "OutOfMemory: x\ny"} if record.key == broken else {}
    ), without=whole.cells[1].finals)  # fmt: skip
    first, second, third = tonight_of(plan, records).cells[:3]
    assert first.failures == {1: "oom: OutOfMemory: x"}
    assert list(first.scores) == [0]
    assert second.absent == (0, 1)
    assert (third.failures, third.absent, third.unfit, sorted(third.scores)) == ({}, (), "", [0, 1])
    assert [cell.name.strategy for cell in tonight_of(plan, records).cells] == [cell.strategy for cell in plan.cells]


def test_a_baseline_of_fewer_repeats_than_the_one_before_is_refused(made):
    plan, records = made()
    once = baseline_of(plan, records, WHEN)
    thrice = dataclasses.replace(once, rows=tuple(
        dataclasses.replace(row, repeat=repeat) for row in once.rows if row.repeat == 0 for repeat in range(3)
    ))  # fmt: skip
    before = Before(thrice, Rule(50.0, 4.0))
    with pytest.raises(NotAcceptable) as caught:
        baseline_of(plan, records, WHEN, before=before)
    (name, lines), = caught.value.reasons.items()
    assert name == "fewer"
    assert lines[0].endswith("fewer repeats than the baseline before has")
    assert baseline_of(plan, records, WHEN, ["fewer"], before).allowed == ("fewer",)
    assert baseline_of(plan, records, WHEN, before=Before(once, Rule(0.25, 4.0))).allowed == ()


def test_cells_whose_repeats_share_one_search_are_known(plan):
    once, each = (tonight_of(plan(SMALL.replace("scope: cell", f"scope: {scope}")), {}) for scope in ("cell", "repeat"))
    assert [cell.searches_once for cell in once.cells] == [True] * 6
    assert [cell.searches_once for cell in each.cells] == [False] * 6
