"""Forecasts of finals from their records to the page."""

import dataclasses

from bench.analysis.join import collect
from bench.report import render
from bench.store.results import Forecast

TOLD = Forecast(num=50, num_labels=50, log_me=0.25, seconds={"features": 0.5, "log_me": 0.25})


def test_records_tell_the_frame_and_the_page(plan, roots, ran):
    for record in ran:
        if record.kind == "final" and record.spec["backbone"]["weights"]["origin"] == "pretrain":
            roots.store.write(dataclasses.replace(record, result={**record.result, "forecast": TOLD.plain()}))
    results = collect(plan, roots.store, roots.shared)
    transferred = results.finals[results.finals["lesson"] != ""]
    assert list(transferred["forecast"]) == [TOLD] * len(transferred)
    assert len(transferred)
    assert results.finals[results.finals["baseline"]]["forecast"].isna().all()
    assert "Nothing to choose from" in render(results)  # one network is too few


def test_a_suite_that_did_not_ask_has_no_such_section(plan, roots, ran):
    assert 'id="forecasts"' not in render(collect(plan, roots.store, roots.shared))
