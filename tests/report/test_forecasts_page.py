"""The section on cheap forecasts."""

import dataclasses
import html
import re

import numpy as np
import pytest

from bench.report import render
from bench.report.sections.forecasts import forecasts_section
from bench.report.sections.protocol import protocol_section
from bench.store.results import Forecast
from tests.analysis.synthetic import World, make

NETWORKS = ("one", "other", "third", "fourth")  # the later, the lower its scores


@pytest.fixture(autouse=True)
def _only(only):
    only(forecasts_section, protocol_section)


def words(page):
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]+>", " ", page)))


def parts(results):
    page = render(results)
    found = re.findall(r'<section id="forecasts".*?</section>', page, re.DOTALL)
    protocol = re.findall(r'<section id="protocol".*?</section>', page, re.DOTALL)
    return found[0] if found else "", words(protocol[0])


def section(results):
    return words(parts(results)[0])


def foretold(row):
    """LogME orders the networks rightly, TransRate the other way round; LEEP knows three of four."""
    place = NETWORKS.index(row["backbone"])
    return Forecast(num=50, num_labels=50, log_me=-place + 0.1, transrate=float(place), leep=-place if place else None,
                    seconds={"features": 0.02, "log_me": 0.01})  # fmt: skip


def made(tell=foretold, networks=NETWORKS, asked=True, **fields):
    chosen = {"strategies": ("scratch", "linear_probe", "full_finetune"), "budgets": (5,), "gaps": False, **fields}
    results = make(World(backbones=networks, **chosen))
    finals = results.finals.copy()
    spread = {name: 0.05 * number for number, name in enumerate(NETWORKS)}
    down = np.array([0.0 if row["baseline"] else spread[row["backbone"]] for _, row in finals.iterrows()])
    finals["score"] = finals["score"] - down
    finals["forecast"] = [None if row["baseline"] else tell(row) for _, row in finals.iterrows()]
    for name in ("weights", "lesson"):
        finals[name] = ""
    suite = {**results.suite, "records": {"predictions": "classes", "forecasts": asked}}
    return dataclasses.replace(results, finals=finals, suite=suite)


def rows_of(page, table):
    body = re.findall(rf'id="table-{table}".*?<tbody>(.*?)</tbody>', page, re.DOTALL)[0]
    return [words(row).strip() for row in re.findall(r"<tr>.*?</tr>", body, re.DOTALL)]


def test_the_answer_names_the_forecast_its_loss_and_what_competes_with_it():
    text = section(made())
    answer = re.search(r"Had the network been chosen by LogME.*?looks better than it is\.", text)
    assert answer, text
    assert "full fine-tuning would have lost 0.0 points" in answer[0]
    assert re.search(r"Chosen by the linear probe's validation score [\d.]+ \(95 % interval ", answer[0])
    assert re.search(r" and at random \d", answer[0])
    assert "3 forecasts were tried on 4 targets" in answer[0]


def test_forecasts_stand_by_what_they_lose_and_those_they_compete_with_last():
    page, _ = parts(made())
    found = rows_of(page, "forecasts-tuned")
    assert [re.match(r"LogME|LEEP|TransRate|Linear probe|One at random", row)[0] for row in found] == [
        "LogME", "LEEP", "TransRate", "Linear probe", "One at random"
    ]  # fmt: skip
    assert "1.00" in found[0]
    assert " 0.0 12 of 12 1.00" in found[0]
    assert " 0 of 12 " in found[1]
    assert " 4 knows 3 of 4 networks" in found[1]
    assert "−1.00" in found[2]
    assert "30 ms 1/" in found[0]
    lost = [float(re.findall(r"(?:labels|class|trains|looking) ([\d.]+)", row)[0]) for row in found]
    assert 0.0 == lost[0] < lost[1] < lost[2]
    assert lost[0] < lost[4] < lost[2]


def test_the_best_strategy_of_each_network_has_a_table_of_its_own_where_it_is_another():
    page, _ = parts(made())
    assert "With the best strategy of each network instead" not in page
    probe = dict(zip(NETWORKS, (0, 0, 0.5, 0.5), strict=True))
    results = made()
    finals = results.finals.copy()
    finals.loc[finals["strategy"] == "linear_probe", "score"] += finals["backbone"].map(probe)
    page, _ = parts(dataclasses.replace(results, finals=finals))
    assert "With the best strategy of each network instead" in page
    assert rows_of(page, "forecasts-best")[0].startswith(("TransRate", "LEEP"))


def test_without_full_fine_tuning_the_best_strategies_are_the_only_table():
    page, _ = parts(made(strategies=("scratch", "linear_probe")))
    assert 'id="table-forecasts-best"' in page
    assert "With the best strategy" not in page
    assert "its best strategy would have lost" in words(page)


def test_a_drawing_for_each_forecast_six_at_most():
    page, _ = parts(made())
    assert page.count("<svg class=\"plot\"") == 3
    every = ("log_me", "h_score", "shrunk_h_score", "transrate", "parc", "gbc", "cka", "leep")
    page, _ = parts(made(lambda row: Forecast(**{name: float(len(row["backbone"])) + NETWORKS.index(row["backbone"])
                                                 for name in every})))  # fmt: skip
    assert page.count("<svg class=\"plot\"") == 6
    assert "2 forecasts of the table are not drawn." in words(page)


def test_two_networks_are_nothing_to_choose_from():
    text = section(made(networks=NETWORKS[:2]))
    assert "it takes 3 networks that are tried on one data set" in text
    assert "no data set has more than 2 networks" in text
    assert "τ" not in text


@pytest.mark.parametrize("asked", [False, True])
def test_no_section_unless_there_is_something_to_say(asked):
    page, protocol = parts(made(lambda _: None, asked=asked))
    assert bool(page) == asked
    assert ("LogME" in protocol) == asked
    if asked:
        assert "96 final trainings without a forecast: their records were made before" in words(page)


def test_failures_are_told_and_escaped():
    def tell(row):
        return Forecast(error="OSError: <gone>") if row["backbone"] == "one" else foretold(row)

    page, _ = parts(made(tell))
    assert "No forecast: near, one: OSError: &lt;gone&gt;." in page
    assert "<gone>" not in page


def test_methods_stand_in_the_protocol():
    _, protocol = parts(made())
    assert "LogME (You et al. 2021): the log evidence" in protocol
    assert "from the repeat's labelled images" in protocol


def test_names_of_users_are_escaped():
    page, _ = parts(made(rename={"near": "<b>near</b>"}))
    assert "<b>near" not in page
    assert "&lt;b&gt;near" in page
