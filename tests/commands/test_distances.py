"""Distances of finals from their records to the page."""

import dataclasses

from bench.analysis.distances import distances
from bench.analysis.join import collect
from bench.report import render
from bench.store.results import Distance

TOLD = Distance(num=60, folds=5, features=0.1, pixels=0.4, mmd=0.1, mmd_error=0.01, source_error=0.1, joint_source=0.1,
                joint_target=0.2)  # fmt: skip


def test_records_tell_the_frame_and_the_page(plan, roots, ran):
    for record in ran:
        if record.kind == "final" and record.spec["backbone"]["weights"]["origin"] == "pretrain":
            told = dataclasses.replace(record, result={**record.result, "distance": TOLD.plain()})
            roots.store.write(told)
    results = collect(plan, roots.store, roots.shared)
    taught = results.finals[results.finals["lesson"] != ""]
    assert set(taught["distance"]) == {TOLD}
    assert set(taught["lesson"]) == {next(iter(plan.pretrain_labels.values()))[1]}
    assert set(taught["weights"]) == set(plan.pretrain_labels)
    assert not taught["baseline"].any()
    scratch = results.finals[results.finals["baseline"]]
    assert scratch["distance"].isna().all()
    assert len(distances(results.finals).pairs) == taught["dataset"].nunique()
    assert "How far the target is" in render(results)


def test_a_suite_that_did_not_ask_has_no_such_section(plan, roots, ran):
    assert "How far the target is" not in render(collect(plan, roots.store, roots.shared))
