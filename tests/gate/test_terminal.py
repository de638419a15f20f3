"""The table and the sentence: attention first, one word order, no line that a runner would obey."""

import dataclasses
import math

import pytest

from bench.gate.outputs.sentences import chance, drop, sentence, signed
from bench.gate.outputs.terminal import lines
from bench.gate.verdict import WORDS, CellName, GateResult
from tests.gate.made import (
    ABSENT,
    EVERY,
    HOSTILE,
    IMPROVED,
    MEAN,
    NEW,
    OPEN,
    OTHER,
    REGRESSED,
    SAME,
    SLOWER,
    STEADY,
    WRONG,
    cell,
    compared,
    gate,
    hostile,
)  # fmt: skip

CAUGHT = "a drop of 1.3 points would have been caught in every cell, 4 times in 5"
CAUGHT_THERE = CAUGHT.replace("cell,", "cell that was compared,")


def words(found: list[str]) -> list[str]:
    """Of the table's rows."""
    first = [line.split("│")[1].strip() for line in found if line.startswith("│")]
    return [word for word in first if word in WORDS]


def test_attention_first_and_the_rest_only_counted() -> None:
    found = lines(gate(*EVERY), 200)
    assert words(found) == [
        "regressed", "regressed", "missing", "missing", "improved", "inconclusive", "incomparable", "new",
    ]  # fmt: skip
    assert found[-2] == "2 cells held: 1 equivalent, 1 identical"
    assert found[3].split("│")[2].strip() == "digits @ 5 · freeze(upto=1)"  # the larger drop
    told = words(lines(gate(*EVERY), 200, verbose=True))
    assert told[-2:] == ["equivalent", "identical"]


def test_nothing_to_attend_to_is_two_lines() -> None:
    assert lines(gate(STEADY, SAME), 80) == [
        "2 cells held: 1 equivalent, 1 identical",
        f"gate: green — 2 cells compared (n = 5), nothing surely dropped by more than 0.5 points; {CAUGHT}",
    ]


@pytest.mark.parametrize(("result", "told"), [
    (gate(REGRESSED, ABSENT), f"gate: red — 1 regressed, 1 missing; 1 of 2 cells compared (n = 5); {CAUGHT_THERE}"),
    (gate(STEADY, OPEN), "gate: green — 2 cells compared (n = 5), nothing surely dropped by more than 0.5 points; "
     "1 inconclusive; a drop of 1.9 points would have been caught in every cell, 4 times in 5"),
    (gate(STEADY, OPEN, fail_on=("inconclusive",)), "gate: red — 1 inconclusive; 2 cells compared"),
    (gate(STEADY, WRONG), "gate: incomplete — 1 missing; 1 of 2 cells compared (n = 5), nothing surely dropped by "
     f"more than 0.5 points; tonight's training went wrong in 1 cell; {CAUGHT_THERE}"),
    (gate(OTHER, NEW), "gate: nothing compared — 1 incomparable, 1 new"),
    (gate(), "gate: nothing compared — there are no cells"),
    (gate(STEADY, costs=(SLOWER,)), "gate: red — 1 cost slower; 1 cell compared"),
    (gate(REGRESSED, fail_on=()), "gate: green — 1 cell compared (n = 5); 1 regressed; by the options given, regressed "
     "fails nothing"),
    (gate(STEADY, dataclasses.replace(OPEN, n=3)), "2 cells compared (n = 3 to 5)"),
    (gate(STEADY, OTHER), "gate: blind — a drop of 2 points could have gone unseen in 1 of 2 cells (1 incomparable); 1 "
     "incomparable; 1 of 2 cells compared"),
    (gate(STEADY, dataclasses.replace(SAME, is_whole=False, smallest=9.0)), "unseen in 1 of 2 cells (1 with fewer "
     "repeats than the baseline)"),
    (gate(STEADY, mean=MEAN, mean_margin=0.125), "gate: red — the mean of all regressed; 1 cell compared"),
    (gate(STEADY, mean=compared("regressed", -0.5, CellName("all", "all", "all", "mean of 3 of 24 cells"))),
     "gate: red — the mean of 3 of 24 cells regressed; 1 cell compared"),
    (gate(STEADY, must_see=1.0), "gate: blind — a drop of 1 points could have gone unseen in 1 of 1 cell (1 too noisy "
     "for so few repeats); 1 cell compared (n = 5), nothing surely dropped by more than 0.5 points; the smallest that "
     "would have been caught: 1.3 points in every cell, 4 times in 5"),
    (gate(*[STEADY] * 3, dataclasses.replace(OPEN, smallest=math.nan)), "blind: in 1 of 4 compared cells a drop of 2 "
     "points could have gone unseen; the smallest that would have been caught: 1.3 points in 3 of 4 cells, 4 times "
     "in 5"),
    (gate(dataclasses.replace(OPEN, smallest=math.nan)), "would have been caught: unknown in every cell"),
])  # fmt: skip
def test_the_sentence(result: GateResult, told: str) -> None:
    assert told in sentence(result)
    assert lines(result, 80)[-1] == sentence(result)


def test_the_mean_of_all_is_a_line() -> None:
    told = lines(gate(STEADY, mean=MEAN, mean_margin=0.125), 80)[-2]
    assert told == (
        "mean of all 24 cells: regressed; from 90.00 % to 89.50 %, change −0.50 points (interval −1.10 to +0.10), "
        "margin 0.125, n = 5, p = 0.003; a drop of 0.40 points would have been caught here, 4 times in 5"
    )


def test_what_is_claimed_to_be_caught_is_rounded_up() -> None:
    assert [drop(x, 1) for x in (1.3, 1.31, 1.39, 0.02)] == ["1.3", "1.4", "1.4", "0.1"]
    assert drop(math.nan) == drop(math.inf) == "—"


def test_numbers() -> None:
    assert [signed(x) for x in (-2.1, 0.0, -0.001, 1.005e1, math.nan)] == ["−2.10", "0.00", "0.00", "+10.05", "—"]
    assert [chance(p) for p in (0.5, 0.00123, 1e-9, math.nan)] == ["0.5", "0.0012", "< 0.0001", "—"]


@pytest.mark.parametrize("width", [40, 80, 200])
def test_hostile_names(width: int) -> None:
    found = lines(hostile(), width, verbose=True)
    for line in found:
        assert line.isprintable()
        assert line[0] in "┌├└│" or line.startswith(("note: ", "gate: "))
        assert "##[" not in line
    if width == 200:
        assert any("日本語" in line for line in found)
        assert sum(f"note: {text}" in found for text in HOSTILE) >= 7


@pytest.mark.parametrize("width", [60, 100, 160])
def test_tables_keep_to_the_width(width: int) -> None:
    long = compared("regressed", -2.0, cell("x" * 100))
    found = lines(gate(long, *EVERY, costs=(SLOWER,)), width)
    assert max(len(line) for line in found[:-1]) <= width
    assert sum(line.count("x") for line in found[:-1]) >= 70  # folded, not cut away


def test_backbones_are_named_where_there_are_several() -> None:
    other = dataclasses.replace(IMPROVED, cell=dataclasses.replace(IMPROVED.cell, backbone="large"))
    assert not any("· small" in line for line in lines(gate(REGRESSED, IMPROVED), 200))
    assert any("digits @ 5 · large" in line for line in lines(gate(REGRESSED, other), 200))
