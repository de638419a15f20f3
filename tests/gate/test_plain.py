"""The JSON: names that stay, and no number that JSON does not have."""

import dataclasses
import json
import math
import re

from bench.gate.outputs import plain
from bench.gate.outputs.plain import as_json
from bench.gate.verdict import WORDS
from tests.gate.made import ABSENT, EVERY, REGRESSED, SAME, SLOWER, STEADY, WRONG, gate, hostile

TOP = [
    "format", "suite", "method", "baseline", "margin", "must_see", "smallest", "exit_code", "sentence", "fail_on",
    "counts", "blind", "unseen", "mean", "notes", "facts", "cells", "costs",
]  # fmt: skip
CELL = [
    "dataset", "budget", "backbone", "strategy", "word", "reason", "fails", "went_wrong", "n", "before", "after",
    "change", "low", "high", "p", "smallest",
]  # fmt: skip
COST = ["name", "quantity", "word", "reason", "fails", "before", "after", "factor"]


def test_names_are_an_interface() -> None:
    found = as_json(gate(*EVERY, costs=(SLOWER,)))
    assert found["format"] == 2
    assert list(found) == TOP
    assert list(found["cells"][0]) == CELL
    assert list(found["costs"][0]) == COST
    assert found["mean"] is None
    assert list(as_json(gate(STEADY, mean=STEADY))["mean"]) == ["margin", *CELL[4:]]


def test_every_name_is_documented() -> None:
    told = set(re.findall(r"\w+", plain.__doc__ or ""))
    assert set(TOP + CELL + COST) <= told


def test_values() -> None:
    found = as_json(gate(REGRESSED, STEADY, SAME, ABSENT, WRONG, costs=(SLOWER,), must_see=1.0))
    assert found["exit_code"] == 1
    assert found["smallest"] == 1.3
    assert (found["blind"], found["unseen"]) == (2, 4)
    assert found["counts"] == {**dict.fromkeys(WORDS, 0), "regressed": 1, "equivalent": 1, "identical": 1, "missing": 2}
    first, *_, wrong = found["cells"]
    assert (first["change"], first["low"], first["high"], first["n"]) == (-2.1, -2.7, -1.5, 5)
    assert [row["fails"] for row in found["cells"]] == [True, False, False, True, True]
    assert wrong["went_wrong"]
    assert wrong["change"] is None
    assert found["costs"][0]["factor"] == 1.42


def test_no_number_that_json_does_not_have() -> None:
    odd = dataclasses.replace(STEADY, low=-math.inf, smallest=math.inf)
    free = dataclasses.replace(SLOWER, before=0.0)
    for result in (gate(odd, ABSENT, costs=(free,)), gate(), hostile()):
        text = json.dumps(as_json(result), allow_nan=False)
        assert json.loads(text) == as_json(result)
    found = as_json(gate(odd, costs=(free,)))
    assert (found["cells"][0]["low"], found["cells"][0]["smallest"], found["costs"][0]["factor"]) == (None, None, None)
