"""What a baseline goes back to: handed on with each that follows, begun anew where a drop was accepted knowingly."""

import dataclasses

import numpy as np
import pytest

from bench.gate.accept import snapshot
from bench.gate.baseline import read, write
from bench.gate.compare import compare
from bench.gate.lineage import descended
from bench.gate.pairs import Rule

from .nights import HERE, MARK, ORIGIN, accepted, names, night

RULE = Rule(0.25, 3.0)
CELLS = names(2, 3)
FIRST = np.round(np.random.default_rng(0).uniform(0.7, 0.9, (6, 5)), 3)


def follow(before, table, when="night 2", **more):
    tonight = night(table, CELLS, **more)
    return descended(snapshot(tonight, when), before, compare(before, tonight, RULE))


def firsts(baseline, cell=0):
    return [row.first for row in baseline.cells()[CELLS[cell]]]


def test_the_oldest_scores_are_handed_on_and_written_down(tmp_path):
    root = accepted(FIRST, CELLS)
    assert firsts(root) == [None] * 5
    assert compare(root, night(FIRST, CELLS), RULE).facts.get("lineage since") is None
    third = follow(follow(root, FIRST - 0.0005), FIRST - 0.001, "night 3")
    assert firsts(third) == pytest.approx(list(FIRST[0]))
    assert third.since == root.accepted
    write(tmp_path / "b.json", third)
    assert read(tmp_path / "b.json") == third
    result = compare(third, night(FIRST, CELLS), RULE)
    assert result.facts["lineage since"] == root.accepted


def test_what_fell_since_the_beginning_is_red_though_each_step_was_not():
    steps = follow(accepted(FIRST, CELLS), FIRST - 0.0011)
    lower = FIRST - 0.0011
    lower[2] -= 0.002
    result = compare(steps, night(lower, CELLS), RULE)
    row = result.verdicts[2]
    assert (row.word, row.before) == ("regressed", pytest.approx(FIRST[2].mean()))
    assert row.reason.startswith("since 1970-01-01T00:00:00Z, when the lineage began; against the last baseline equiv")
    assert result.exit_code == 1
    alone = dataclasses.replace(steps, rows=tuple(dataclasses.replace(row, first=None) for row in steps.rows))
    assert compare(alone, night(lower, CELLS), RULE).exit_code == 0


def test_a_drop_accepted_knowingly_begins_anew_for_its_cell_alone():
    lower = FIRST.copy()
    lower[2] -= 0.05
    after = follow(accepted(FIRST, CELLS), lower)
    assert firsts(after, 2) == [None] * 5
    assert firsts(after, 1) == list(FIRST[1])
    assert compare(after, night(lower, CELLS), RULE).exit_code == 0


def test_a_fall_of_all_that_no_cell_shows_begins_anew_for_all():
    rng = np.random.default_rng(3)
    lower = FIRST - 0.004 + 0.004 * (noise := rng.normal(size=FIRST.shape)) - 0.004 * noise.mean(axis=0)
    held = compare(accepted(FIRST, CELLS), night(lower, CELLS), RULE)
    assert (held.count("regressed"), held.mean.word) == (0, "regressed")
    assert follow(accepted(FIRST, CELLS), lower).since is None


def test_a_fall_of_all_beside_that_of_a_cell_is_not_red_for_ever():
    lower = FIRST - 0.004 + 0.003 * np.random.default_rng(3).normal(size=FIRST.shape)
    lower[2] -= 0.05
    held = compare(accepted(FIRST, CELLS), night(lower, CELLS), RULE)
    assert ([v.cell for v in held.of(["regressed"])], held.mean.word) == ([CELLS[2]], "regressed")
    after = follow(accepted(FIRST, CELLS), lower)
    assert after.since is None
    again = compare(after, night(lower, CELLS), RULE)
    assert (again.exit_code, again.mean.word) == (0, "identical")


@pytest.mark.parametrize("other", [
    {"mark": dataclasses.replace(MARK, data="0" * 8)},
    {"origin": dataclasses.replace(ORIGIN, environment=dataclasses.replace(HERE, device="A GPU"))},
])  # fmt: skip
def test_what_cannot_be_compared_begins_anew(other):
    after = follow(accepted(FIRST, CELLS), FIRST, **other)
    assert firsts(after) == [None] * 5
    assert after.since is None


def test_repeats_that_are_new_begin_with_themselves():
    root = accepted(FIRST[:, :3], CELLS)
    assert firsts(follow(root, FIRST)) == [*FIRST[0, :3], None, None]
