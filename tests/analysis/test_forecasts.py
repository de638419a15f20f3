"""What forecasts come to: orders against scipy, losses against pencil and paper, and planted networks."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from bench.analysis.comparison import Scores
from bench.analysis.forecasts import BEST, RANDOM, TUNED, VALIDATION, forecasts, spearmans_rho, weighted_tau
from bench.analysis.frame import FINALS, TRIALS, SuiteResults
from bench.store.results import Distance, Forecast

ROUTINE = {"axis": "", "axis_value": math.nan, "axis_kind": "", "num_units": 6, "solved": "", "labels": "target",
           "metric": "accuracy", "status": "ok", "collapsed": 0.0, "predictions": None, "modality": "image",
           "weights": "", "lesson": "", "baseline": False, "from_random": False, "budget": "5", "seconds": 8.0,
           "distance": None, "forecast": None}  # fmt: skip
DEPTHS = {"full_finetune": 0.0, "linear_probe": 5.0}


def final(dataset, backbone, strategy, repeat, score, told=None, **fields):
    depth = {"axis": "depth", "axis_value": DEPTHS[strategy]} if strategy in DEPTHS else {}
    one = Forecast(num=50, num_labels=50, seconds={"features": 0.25, "log_me": 0.5}, **told) if told else None
    return {**ROUTINE, **depth, "dataset": dataset, "backbone": backbone, "strategy": strategy, "repeat": repeat,
            "score": score, "forecast": one, **fields}  # fmt: skip


def results(finals, trials=()):
    made = pd.DataFrame([{**dict.fromkeys(FINALS), **row} for row in finals])
    return SuiteResults("x", "", "", {}, made, pd.DataFrame(list(trials), columns=list(TRIALS)), pd.DataFrame())


def judged(finals, trials=(), use=TUNED):
    given = results(finals, trials)
    found = forecasts(given, Scores.of(given.finals))
    return found, {one.forecast: one for one in found.judged[use]}


# By network: scores in two repeats, and LogME in each.
PLANTED = {"a": ((0.90, 0.86), (3.0, 1.0)), "b": ((0.80, 0.84), (2.0, 2.0)), "c": ((0.50, 0.54), (1.0, 0.0))}


def planted(dataset="near", change=0.0):
    return [
        final(dataset, name, "full_finetune", r, scores[r] + change, {"log_me": values[r], "parc": -values[r]})
        for name, (scores, values) in PLANTED.items() for r in (0, 1)
    ]  # fmt: skip


def test_a_loss_is_what_the_best_network_scores_above_the_chosen_one_in_each_repeat():
    """LogME takes a in the first repeat and b in the second; PARC, its opposite, takes c twice."""
    found, by = judged(planted())
    assert by["log_me"].lost.mean == pytest.approx(((0.90 - 0.90) + (0.86 - 0.84)) / 2)
    assert by["parc"].lost.mean == pytest.approx(((0.90 - 0.50) + (0.86 - 0.54)) / 2)
    anyone = (0.9 + 0.8 + 0.5 + 0.86 + 0.84 + 0.54) / 6
    assert by[RANDOM].lost.mean == pytest.approx((0.90 + 0.86) / 2 - anyone)
    assert [one.forecast for one in found.judged[TUNED]] == ["log_me", "parc", RANDOM]
    assert by["log_me"].networks == (3, 3)
    assert (by["log_me"].targets, by["log_me"].lost.n) == (1, 2)
    assert [(by[name].hits, by[name].choices) for name in ("log_me", "parc")] == [(1, 2), (0, 2)]
    assert by[RANDOM].hits == pytest.approx(2 / 3)


def test_the_interval_of_a_loss_is_students_widened_for_the_best_having_been_picked():
    _, by = judged(planted())
    values = np.array([0.40, 0.32])
    half = stats.t.ppf(1 - 0.05 / 3 / 2, 1) * values.std(ddof=1) / math.sqrt(2)
    assert by["parc"].lost_ends == pytest.approx((values.mean() - half, values.mean() + half))


def test_a_choice_that_is_right_in_every_repeat_has_no_interval_of_no_width():
    _, by = judged([{**row, "forecast": Forecast(num=5, gbc=row["score"])} for row in planted()])
    assert (by["gbc"].hits, by["gbc"].choices, by["gbc"].lost.mean) == (2, 2, 0)
    assert all(map(math.isnan, by["gbc"].lost_ends))


def test_of_forecasts_that_lose_alike_the_one_that_orders_better_comes_first():
    """Both take a each time; TransRate has b and c the wrong way round."""
    swapped = {"a": 3.0, "b": 1.0, "c": 2.0}
    rows = [{**row, "forecast": Forecast(num=5, transrate=swapped[row["backbone"]], nce=row["score"])}
            for row in planted()]  # fmt: skip
    found, _ = judged(rows)
    assert [one.forecast for one in found.judged[TUNED]] == ["nce", "transrate", RANDOM]


def test_orders_are_of_means_over_repeats_and_averaged_over_targets():
    """On the second target the best network is foretold to be the worst."""
    other = [
        final("far", name, "full_finetune", r, score, {"log_me": value})
        for name, score, value in (("a", 0.9, 0.0), ("b", 0.5, 1.0), ("c", 0.7, 2.0)) for r in (0, 1)
    ]  # fmt: skip
    _, by = judged([*planted(), *other])
    pairs = [([2.0, 2.0, 0.5], [0.88, 0.82, 0.52]), ([0.0, 1.0, 2.0], [0.9, 0.5, 0.7])]
    taus = [stats.weightedtau(x, y).statistic for x, y in pairs]
    rhos = [stats.spearmanr(x, y).statistic for x, y in pairs]
    found = by["log_me"]
    assert (found.targets, found.tau.n) == (2, 2)
    assert (found.tau.mean, found.rho.mean) == pytest.approx((np.mean(taus), np.mean(rhos)))
    half = stats.t.ppf(0.975, 1) * np.std(taus, ddof=1) / math.sqrt(2)
    ends = max(np.mean(taus) - half, -1), min(np.mean(taus) + half, 1)
    assert (found.tau.low, found.tau.high) == pytest.approx(ends)
    assert found.lost.mean == pytest.approx((0.01 + 0.2) / 2)


def test_agreement_of_few_targets_is_no_certainty():
    _, by = judged([*planted(), *planted("far", -0.1)])
    assert by["log_me"].targets == 2
    assert by["log_me"].tau.mean > 0
    assert math.isnan(by["log_me"].tau.low)


@pytest.mark.parametrize("num", [2, 3, 6, 15])
def test_weighted_tau_and_rho_are_scipys(num):
    draw = np.random.default_rng(num)
    for _ in range(20):
        x, y = draw.integers(0, 8, num).astype(float), draw.normal(size=num)
        if len(set(x)) > 1:
            assert weighted_tau(x, y) == pytest.approx(stats.weightedtau(x, y).statistic)
            assert spearmans_rho(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
        z = draw.integers(0, 3, num).astype(float)
        if len(set(x)) > 1 and len(set(z)) > 1:
            assert weighted_tau(x, z) == pytest.approx(stats.weightedtau(x, z).statistic)


def test_what_orders_nothing_has_no_order_but_a_loss():
    """All networks alike: it chooses as one at random does."""
    rows = [{**row, "forecast": Forecast(num=5, nce=-1.0)} for row in planted()]
    _, by = judged(rows)
    assert math.isnan(by["nce"].tau.mean)
    assert math.isnan(by["nce"].rho.mean)
    assert by["nce"].lost.mean == pytest.approx(by[RANDOM].lost.mean)


def test_two_networks_are_too_few_and_the_number_is_told():
    found, by = judged([row for row in planted() if row["backbone"] != "c"])
    assert by == {}
    assert found.most_networks == 2


def test_a_forecast_orders_the_networks_that_it_knows_and_never_takes_another():
    """LEEP needs a network's own classifier, and the best of these four has none."""
    rows = planted() + [final("near", "d", "full_finetune", r, 0.99, {"log_me": 9.0}) for r in (0, 1)]
    rows = [
        {**row, "forecast": row["forecast"].model_copy(update={"leep": row["forecast"].log_me})}
        if row["backbone"] != "d" else row for row in rows
    ]  # fmt: skip
    _, by = judged(rows)
    assert (by["leep"].networks, by["log_me"].networks, by["leep"].offered) == ((3, 3), (4, 4), 4)
    assert by["leep"].lost.mean == pytest.approx(0.99 - (0.90 + 0.84) / 2)
    assert by["leep"].tau.mean == pytest.approx(stats.weightedtau([2.0, 2.0, 0.5], [0.88, 0.82, 0.52]).statistic)
    assert by["log_me"].lost.mean == 0


def test_a_network_of_which_a_repeat_says_nothing_is_not_known():
    rows = planted() + [final("near", "d", "full_finetune", r, 0.99, {"log_me": 9.0}) for r in (0, 1)]
    rows[-1]["forecast"] = None
    found, by = judged(rows)
    assert (by["log_me"].networks, by["log_me"].offered) == ((3, 3), 4)
    assert (found.num_asked, found.num_without) == (8, 1)


def test_the_best_strategy_of_each_network_is_another_question():
    """A probe lifts c above all; the forecast that full fine-tuning refutes would have been right."""
    probes = [final("near", name, "linear_probe", r, 0.95 if name == "c" else 0.3) for name in PLANTED for r in (0, 1)]
    _, tuned = judged([*planted(), *probes])
    found, best = judged([*planted(), *probes], use=BEST)
    assert tuned["parc"].lost.mean > 0.3
    assert best["parc"].lost.mean == 0
    (offer,) = found.offers[BEST]
    assert offer.strategies == {"a": "full_finetune", "b": "full_finetune", "c": "linear_probe"}


def test_scratch_own_heads_and_labels_of_the_source_are_no_transfer():
    """Were they counted, a fourth network, or another best one, would be there."""
    more = [
        final("near", "c", "scratch_long", r, 0.99, from_random=True) for r in (0, 1)
    ] + [final("near", "c", "own_head", r, 0.99, solved="own head") for r in (0, 1)
    ] + [final("near", "c", "source_only", r, 0.99, labels="source") for r in (0, 1)]  # fmt: skip
    found, _ = judged([*planted(), *more], use=BEST)
    assert found.offers[BEST][0].strategies == dict.fromkeys("abc", "full_finetune")


def test_a_stage_on_the_way_makes_another_network():
    stage = [final("near", "a", "intermediate", r, 0.97, {"log_me": 7.0}, weights="cd", lesson="source, then mid")
             for r in (0, 1)]  # fmt: skip
    found, best = judged([*planted(), *stage], use=BEST)
    assert list(found.offers[BEST][0].columns) == ["a", "b", "c", "a, source, then mid"]
    assert best["log_me"].networks == (4, 4)
    assert found.offers[TUNED][0].strategies == dict.fromkeys("abc", "full_finetune")


def searched(values, repeats, seconds=2.0):
    return [
        {"dataset": "near", "budget": "5", "backbone": name, "strategy": "linear_probe", "repeat": r, "number": 0,
         "status": "ok", "score": value, "chosen": True, "seconds": seconds, "feature_seconds": 0.5 if r else math.nan}
        for name, value in values.items() for r in repeats
    ]  # fmt: skip


@pytest.mark.parametrize("repeats", [(0, 1), (0,)])
def test_the_probes_validation_competes(repeats):
    """Searched in every repeat, or once for all."""
    probes = [final("near", name, "linear_probe", r, 0.3) for name in PLANTED for r in (0, 1)]
    _, by = judged([*planted(), *probes], searched({"a": 0.6, "b": 0.7, "c": 0.1}, repeats))
    assert by[VALIDATION].lost.mean == pytest.approx(((0.90 - 0.80) + (0.86 - 0.84)) / 2)
    assert by[VALIDATION].tau.mean == pytest.approx(stats.weightedtau([0.6, 0.7, 0.1], [0.88, 0.82, 0.52]).statistic)
    assert by[VALIDATION].seconds == pytest.approx(2.0 + 0.5 * sum(repeats) / len(repeats))


def test_distances_are_forecasts_too_the_nearer_the_better():
    rows = [{**row, "distance": Distance(num=50, features=error, mmd=mmd)} for row, (error, mmd) in
            zip(planted(), [(0.3, 0.1)] * 2 + [(0.2, 0.5)] * 2 + [(0.1, 0.9)] * 2, strict=True)]  # fmt: skip
    _, by = judged(rows)
    assert by["a_distance"].tau.mean == pytest.approx(1)
    assert by["mmd"].tau.mean == pytest.approx(1)
    assert by["mmd"].lost.mean == 0


def test_costs_are_of_a_pass_and_the_score_and_of_a_full_fine_tuning():
    found, by = judged(planted())
    assert by["log_me"].seconds == pytest.approx(0.75)
    assert math.isnan(by["parc"].seconds)
    assert found.tuning_seconds == 8.0


def test_failures_are_told_once_and_are_no_values():
    gone = Forecast(error="OSError: gone")
    rows = [{**row, "forecast": gone} if row["backbone"] == "c" else row for row in planted()]
    found, by = judged(rows)
    assert found.errors == ["near, c: OSError: gone"]
    assert by == {}
    assert found.num_without == 0


def test_marks_are_means_over_repeats():
    found, _ = judged(planted())
    marks = {one.network: (one.forecast, one.score) for one in found.marks(TUNED, "log_me")}
    assert marks["a"] == pytest.approx((2.0, 0.88))
    assert marks["c"] == pytest.approx((0.5, 0.52))
    assert found.marks(TUNED, "leep") == []
