"""What may stand behind `search:` of an option, where its values lie, and that every default range is allowed."""

import itertools
import math

import numpy as np
import pytest

from bench.catalogue import OptionProblems
from bench.spec.spans import Varied, choices, linear, log, read_span, spread
from bench.strategies import STRATEGIES
from bench.strategies.varied import recipe_at, split, why_not

RANGED = [(name, option) for name, entry in STRATEGIES.items() for option in entry.ranges]


@pytest.mark.parametrize(("written", "default", "span"), [
    ([0.001, 1], None, log(0.001, 1)),
    ([0, 1], None, linear(0, 1)),
    ([0.1, 0.9], linear(0, 1), linear(0.1, 0.9)),  # as the entry's own
    ([0.1, 0.9], choices(1, 2), log(0.1, 0.9)),
    ("default", log(1, 2), log(1, 2)),
    ({"range": [0.1, 0.9], "scale": "linear"}, log(1, 2), linear(0.1, 0.9)),
    ({"range": [0.1, 0.9]}, linear(1, 2), linear(0.1, 0.9)),
    ({"choices": [2, 8]}, None, choices(2, 8)),
    ({"choices": [True, False]}, None, choices(True, False)),
])  # fmt: skip
def test_what_may_be_written(written, default, span):
    assert read_span(written, default, False) == span


@pytest.mark.parametrize(("written", "told"), [
    ("default", "has no default range"), ("all", "got 'all'"), (3, "got 3"), ([1], "two numbers, the lower first"),
    ([2, 1], "the lower first"), ([1, 1], "the lower first"), (["a", "b"], "two numbers"), ([1, 2, 3], "two numbers"),
    ({"range": [0, 1], "scale": "log"}, "begins above 0"), ({"range": [1, 2], "scale": "odd"}, "'log' or 'linear'"),
    ({"choices": [1]}, "two at the least"), ({"choices": [1, 1]}, "different choices"), ({"choices": 3}, "got 3"),
    ({"low": 1}, "expected \\[low, high\\]"), ([False, True], "two numbers"),
])  # fmt: skip
def test_what_may_not(written, told):
    with pytest.raises(ValueError, match=told):
        read_span(written, None, False)


def test_values_along_a_span():
    assert [log(0.01, 1).at(share) for share in (0, 0.5, 1)] == [0.01, pytest.approx(0.1), 1]
    assert [linear(0, 1).at(share) for share in (0, 0.25, 1)] == [0, 0.25, 1]
    assert [choices(2, 4, 8).at(share) for share in (0, 0.3, 0.5, 0.99, 1)] == [2, 2, 4, 8, 8]
    whole = read_span([2, 32], None, True)
    assert [whole.at(share) for share in (0, 0.5, 1)] == [2, 8, 32]
    assert all(isinstance(whole.at(share / 7), int) for share in range(8))
    assert (log(0.001, 1).text, choices(2, 4).text) == ("0.001..1", "2|4")


def test_shares_fill_the_space_evenly():
    """By the sequence's own definition; each quarter of a line has some of the first 8 points, each of 3 x 3 parts of a
    square some of the first 36."""
    golden = (math.sqrt(5) - 1) / 2
    assert [spread(n, 1)[0] for n in range(20)] == pytest.approx([(0.5 + n * golden) % 1 for n in range(20)])
    plastic = next(root.real for root in np.roots([1, 0, -1, -1]) if abs(root.imag) < 1e-9)  # x^3 = x + 1
    expected = [((0.5 + n / plastic) % 1, (0.5 + n / plastic**2) % 1) for n in range(36)]
    points = [spread(n, 2) for n in range(36)]
    assert np.allclose(points, expected)
    assert {(int(3 * x), int(3 * y)) for x, y in points} == set(itertools.product(range(3), repeat=2))
    assert {int(4 * spread(n, 1)[0]) for n in range(8)} == set(range(4))


@pytest.mark.parametrize(("name", "option"), RANGED)
def test_default_ranges_are_allowed_and_can_be_searched(name, option):
    entry = STRATEGIES[name]
    fixed, spans = split(entry, {option: {"search": "default"}})
    assert list(spans) == [option]
    full = entry.options.model_validate({**fixed, option: spans[option].at(0.5)})
    others = {key: value for key, value in full.model_dump(mode="json").items() if key != option}
    varied = Varied(name, others, tuple(spans.items()))
    base = entry.build(full, 6)
    assert why_not(varied, base) == []
    made = [recipe_at(varied, base, {option: value}) for value in spans[option].extremes]
    assert len(set(map(repr, made))) == len(made)  # the option does something
    assert recipe_at(varied, base, varied.middle) == base


def test_all_that_an_entry_offers():
    fixed, spans = split(STRATEGIES["l2_sp"], {"search": "default"})
    assert fixed == {}
    assert set(spans) == {"alpha", "beta"}
    with pytest.raises(OptionProblems, match="it has none"):
        split(STRATEGIES["full_finetune"], {"search": "default"})
    with pytest.raises(OptionProblems, match="expected 'default'"):
        split(STRATEGIES["l2_sp"], {"search": [0, 1]})


@pytest.mark.parametrize(("name", "option", "ends"), [
    ("lp_ft", "probe", [0.2, 0.8]), ("scratch_long", "times", [2, 4]), ("tune_last", "units", [1, 3]),
    ("freeze_then_tune", "frozen", [0.1, 0.5]),
])  # fmt: skip
def test_what_decides_when_something_trains_cannot_be_searched(name, option, ends):
    entry = STRATEGIES[name]
    fixed, spans = split(entry, {option: {"search": ends}})
    full = entry.options.model_validate({**fixed, option: spans[option].at(0.5)})
    others = {key: value for key, value in full.model_dump(mode="json").items() if key != option}
    found = why_not(Varied(name, others, tuple(spans.items())), entry.build(full, 6))
    assert [one for one, _ in found] == [option]
    assert "decides what trains" in found[0][1]
