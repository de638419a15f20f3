"""What a half-finished, tiny or perfect suite comes to: no crash, and no number where nothing could be tested."""

import dataclasses
import math
import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bench.analysis.candidates import candidates
from bench.analysis.frame import SuiteResults
from bench.analysis.variance import Column, Estimate
from bench.analysis.verdicts import verdicts
from bench.report import render
from bench.store.predictions import Predictions
from tests.analysis.simulate import leaders, world_of
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

POOL, SIZE = 200, 40


def kept(row: pd.Series, own_split: bool) -> SimpleNamespace | None:
    """Predictions of so many images, as right as the row's score."""
    if row["status"] != "ok":
        return None
    draw = np.random.default_rng([int(row["repeat"]), len(row["strategy"])])
    right = np.arange(SIZE) < round(row["score"] * SIZE)
    which = np.sort(np.random.default_rng(int(row["repeat"])).choice(POOL, SIZE, replace=False)).astype(np.uint32)
    told = Predictions(draw.permuted(right), images=which if own_split else None)
    return SimpleNamespace(load=lambda: told, whole=lambda: told, problem="")


def suite(own_split: bool = True, **world: object) -> SuiteResults:
    results = make(World(datasets=("near",), budgets=(5,), gaps=False, **world))
    finals = results.finals
    scores = (finals["score"] * SIZE).round() / SIZE
    finals = finals.assign(score=scores)
    return dataclasses.replace(
        results, finals=finals.assign(predictions=[kept(row, own_split) for _, row in finals.iterrows()])
    )


def without(results: SuiteResults, strategy: str, repeats: tuple[int, ...], column: str = "status") -> SuiteResults:
    finals = results.finals.copy()
    mine = (finals["strategy"] == strategy) & finals["repeat"].isin(repeats)
    if column == "status":
        finals.loc[mine, "status"] = "failed"
        finals.loc[mine, "score"] = math.nan
    finals["predictions"] = [None if gone else one for gone, one in zip(mine, finals["predictions"], strict=True)]
    return dataclasses.replace(results, finals=finals)


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize("own_split", [True, False])
@pytest.mark.parametrize("gone", [(0,), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("column", ["status", "predictions"])
@pytest.mark.parametrize("strategy", ["scratch", "linear_probe"])
def test_pages_of_half_finished_suites(own_split: bool, gone: tuple[int, ...], column: str, strategy: str) -> None:
    text = Page(render(without(suite(own_split), strategy, gone, column))).text
    assert not re.search(r"\bnan\b", text)


def test_one_lost_file_does_not_hide_the_images() -> None:
    results = suite(own_split=False, repeats=5)
    whole, lost = (verdicts(one.finals).set_index("strategy") for one in
                   (results, without(results, "scratch", (0,), "predictions")))  # fmt: skip
    assert (lost["num_images"] == SIZE).all()
    assert (lost["sd"] / whole["sd"]).between(0.7, 1.4).all()
    none = verdicts(without(results, "scratch", (0, 1, 2, 3), "predictions").finals)
    assert (none["num_images"] == 0).all()


def test_nothing_is_said_of_the_best_where_nothing_was_tested() -> None:
    for world in ({"repeats": 1}, {"strategies": ("linear_probe",)}):
        text = Page(render(suite(own_split=False, **world))).text
        assert "behind" not in text.replace("Behind the highest", "").replace("lie behind", "")
    alone = candidates({"a": Column({0: 0.9, 1: 0.8}, {}), "b": Column({0: 0.5}, {})}, 1)
    assert all(math.isnan(place.high) and not place.is_tested for place in alone.values())


def test_a_strategy_that_breaks_rules_nobody_out() -> None:
    columns = {"a": Column({r: 0.9 + r / 100 for r in range(5)}, {}), "b": Column({r: 0.5 for r in range(5)}, {})}
    columns["breaks"] = Column({0: 0.95, 1: 0.1, 2: 0.95, 3: 0.1, 4: 0.95}, {})
    places = candidates(columns, 1, ["breaks"])
    assert places["breaks"].is_candidate
    assert not places["breaks"].is_tested
    assert not places["b"].is_candidate
    assert places["b"].low > -0.6  # and widens nobody's interval


def test_all_right_is_as_sure_as_its_images() -> None:
    column = Column({r: 1.0 for r in range(2)}, {r: np.zeros(100, np.float32) for r in range(2)})
    low, high = Estimate.of(column.alone()).share_ends()
    assert low == pytest.approx(0.962, abs=2e-3)  # Wilson's for 100 of 100: .963
    assert high == pytest.approx(1)


@pytest.mark.parametrize("strategies", [2, 3])
def test_the_interval_behind_the_best_holds_for_few_strategies_too(strategies: int) -> None:
    found = leaders(world_of("equal", n=10, tasks=1, strategies=strategies, num_images=300), 400, lead=5.0)
    assert found["held"] >= 0.93
