import dataclasses
import json

import numpy as np
import pytest

from bench.gate.baseline import BadBaseline, NoBaseline
from bench.gate.costs import compare_benchmarks, compare_costs

from .nights import MARK, ORIGIN, accepted, names, night

CELLS = names(1, 1)
SCORES = np.full((1, 3), 0.5)


def costs(before, after, memory=(None, None), **more):
    """Verdicts on a cell that took so many seconds in each repeat."""
    baseline, tonight = accepted(SCORES, CELLS), night(SCORES, CELLS, **more)

    def cost(rows, seconds, peak):
        return tuple(dataclasses.replace(row, seconds=s, peak_memory_bytes=peak)
                     for row, s in zip(rows, seconds, strict=False))

    baseline = dataclasses.replace(baseline, rows=cost(baseline.rows, before, memory[0]))
    cell = dataclasses.replace(tonight.cells[0], rows=cost(tonight.cells[0].rows, after, memory[1]))
    return compare_costs(baseline, dataclasses.replace(tonight, cells=(cell,)))


@pytest.mark.parametrize(("before", "after", "word"), [
    ([1.00, 1.01, 0.99], [1.20, 1.21, 1.19], "slower"),
    ([1.20, 1.21, 1.19], [1.00, 1.01, 0.99], "faster"),
    ([1.00, 1.01, 0.99], [1.08, 1.09, 1.07], "same"),  # separated, but within the factor
    ([1.0, 1.5, 0.5], [1.4, 1.9, 0.9], "same"),  # beyond the factor, but it may be chance
    ([1.0], [9.0], "same"),
])  # fmt: skip
def test_slower_needs_the_factor_and_separated_intervals(before, after, word):
    (found,) = costs(before, after)
    assert (found.quantity, found.word) == ("seconds", word)
    assert found.factor == pytest.approx(np.mean(after) / np.mean(before))


def test_repeats_that_trained_as_one_are_one_measurement():
    """A fleet's seconds are shared equally; five equal numbers are no interval."""
    (found,) = costs([1.0, 1.0, 1.0], [1.2, 1.2, 1.2])
    assert found.word == "incomparable"
    assert "before: its repeats trained as one" in found.reason


def test_one_value_is_told():
    assert costs([1.0], [9.0])[0].reason == "before: one value: no interval"


def test_memory_by_the_same_rule():
    assert [(c.quantity, c.word) for c in costs([1, 2, 1], [1, 2, 1], (100, 120))] == [
        ("seconds", "same"), ("memory", "slower")
    ]  # fmt: skip
    assert costs([1, 2, 1], [1, 2, 1], (100, 109))[1].word == "same"


def test_another_device_or_other_settings_are_incomparable():
    other = dataclasses.replace(ORIGIN, device_model="another processor")
    (found,) = costs([1, 1, 1], [9, 9, 9], origin=other)
    assert (found.word, found.reason) == ("incomparable", "device a processor -> another processor")
    (found,) = costs([1, 1, 1], [9, 9, 9], mark=dataclasses.replace(MARK, settings="0" * 8))
    assert (found.word, found.reason) == ("incomparable", "other settings")


def benchmarks(path, brand="A", **stats):
    """`name=(mean, stddev, rounds)`."""
    path.write_text(json.dumps({
        "machine_info": {"cpu": {"brand_raw": brand}, "machine": "x86_64"},
        "benchmarks": [
            {"fullname": name, "stats": {"mean": mean, "stddev": sd, "rounds": rounds}}
            for name, (mean, sd, rounds) in stats.items()
        ],
    }))
    return path


def test_benchmarks_by_the_same_rule(tmp_path):
    before = benchmarks(tmp_path / "a", same=(1, 0.1, 9), slow=(1, 0.01, 9), fast=(1, 0.01, 9), gone=(1, 0, 9))
    after = benchmarks(tmp_path / "b", same=(1.12, 0.1, 9), slow=(1.2, 0.01, 9), fast=(0.8, 0.01, 9), fresh=(1, 0, 9))
    found = {one.name: (one.word, one.reason) for one in compare_benchmarks(before, after)}
    assert found == {
        "same": ("same", ""), "slow": ("slower", ""), "fast": ("faster", ""),
        "gone": ("incomparable", f"not in {after}"), "fresh": ("incomparable", f"not in {before}"),
    }  # fmt: skip
    # t(.975, 8) = 2.306: intervals of 1 +- .0769 and 1.12 +- .0769 touch, those of 1 and 1.16 do not
    wider = benchmarks(tmp_path / "c", same=(1.16, 0.1, 9))
    assert compare_benchmarks(before, wider)[0].word == "slower"
    other = benchmarks(tmp_path / "d", brand="B", slow=(9, 0.01, 9))
    assert compare_benchmarks(before, other)[0].reason == "machine A -> B"


@pytest.mark.parametrize(("text", "said"), [
    ("{", "not JSON"),
    ("[]", "not what pytest-benchmark writes"),
    ("{}", "KeyError: 'benchmarks'"),
    ('{"machine_info": {}, "benchmarks": [{"fullname": "x", "stats": {"mean": 1, "stddev": NaN, "rounds": 3}}]}',
     "mean 1.0, stddev nan, rounds 3"),
])  # fmt: skip
def test_other_files_are_refused(tmp_path, text, said):
    (tmp_path / "x").write_text(text)
    with pytest.raises(BadBaseline, match=said) as caught:
        compare_benchmarks(tmp_path / "x", tmp_path / "x")
    assert "\n" not in str(caught.value)
    with pytest.raises(NoBaseline, match="no such file of benchmarks"):
        compare_benchmarks(tmp_path / "y", tmp_path / "x")
