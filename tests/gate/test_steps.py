import dataclasses

import numpy as np
import pytest

from bench.gate.steps import Segment, courses, segments

from .nights import HERE, MARK, ORIGIN, accepted, names

SERIES = 200


def starts(series):
    return [one.start for one in segments(series)[1:]]


def test_a_step_of_one_and_a_half_sd_is_found_where_it_is():
    rng = np.random.default_rng(0)
    step = np.where(np.arange(60) < 30, 0, -1.5)
    found = [any(25 <= start <= 35 for start in starts(rng.normal(size=60) + step)) for _ in range(SERIES)]
    assert np.mean(found) >= 0.8


def test_noise_alone_has_no_step():
    rng = np.random.default_rng(0)
    assert np.mean([bool(starts(rng.normal(size=60))) for _ in range(SERIES)]) <= 0.07  # 5 % and its own chance


def test_a_drift_has_a_step():
    rng = np.random.default_rng(0)
    drift = np.linspace(0, -3, 60)
    assert np.mean([bool(starts(rng.normal(size=60) + drift)) for _ in range(50)]) >= 0.95


def test_constant_stretches():
    assert segments([0.75] * 30) == [Segment(0, 30, 0.75)]
    assert segments([0.75] * 15 + [0.5] * 15) == [Segment(0, 15, 0.75), Segment(15, 30, 0.5)]
    assert [(one.start, one.end, one.n) for one in segments([1.0] * 10 + [3.0] * 10 + [2.0] * 10)] == [
        (0, 10, 10), (10, 20, 10), (20, 30, 10)
    ]  # fmt: skip


def test_short_series_and_gaps():
    assert segments([]) == []
    assert segments([1.0, 5.0]) == [Segment(0, 2, 3.0)]
    assert segments([1, 1, 1, 9, 9]) == [Segment(0, 5, pytest.approx(4.2))]
    with pytest.raises(ValueError, match="a number for each"):
        segments([1.0, np.nan])


def test_same_seed_same_steps():
    rng = np.random.default_rng(3)
    series = rng.normal(size=60) + np.where(np.arange(60) < 30, 0, 0.8)
    assert segments(series, seed=1) == segments(series, seed=1)


def test_courses_of_a_suite():
    rng, cells = np.random.default_rng(0), names(2, 2)
    tables = [0.7 + rng.normal(0, 0.002, (4, 5)) for _ in range(40)]
    for table in tables[20:]:
        table[1] -= 0.01
    nights = [accepted(table, cells) for table in tables]
    found = courses(nights)
    assert [len(found[cell].segments) for cell in cells] == [1, 2, 1, 1]
    assert abs(found[cells[1]].segments[1].start - 20) <= 2
    assert found[cells[0]].nights == tuple(range(40))

    gpu = dataclasses.replace(ORIGIN, environment=dataclasses.replace(HERE, device="A GPU"))
    nights[3] = accepted(tables[3], cells, origin=gpu)
    nights[5] = accepted(tables[5], cells, mark=dataclasses.replace(MARK, data="0" * 8))
    nights[7] = accepted(tables[7][:, :3], cells)
    assert found[cells[0]].means[4] == courses(nights)[cells[0]].means[3]
    assert courses(nights)[cells[0]].nights == tuple(n for n in range(40) if n not in (3, 5, 7))
    assert courses([]) == {}
