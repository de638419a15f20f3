"""Searches that let some trials leave early, as commands and frames show them."""

import dataclasses
import math
import re
from pathlib import Path

import pytest

from bench.analysis.join import collect
from bench.analysis.tables import feature_seconds, savings
from bench.commands.progress import read_progress, time_left
from bench.commands.suites import plan_from_file
from bench.report import render

from .fabricate import fabricate


def rewrite(ran, roots, change):
    """Records with other contents under the same keys."""
    for record in ran:
        (roots.shared if record.kind == "pretrain" else roots.store).write(change(record))


def bare(record):
    """Without what a record may leave out."""
    result = {name: value for name, value in record.result.items() if name not in ("steps", "rungs")}
    measured = {name: value for name, value in record.cost["measured"].items() if name != "feature_seconds"}
    cost = {"logical": record.cost["logical"], "measured": measured}
    return dataclasses.replace(record, result=result, cost=cost)


def frames(plan, roots):
    return collect(plan, roots.store, roots.shared)


def with_rivals(roots, folders):
    """Three trials in each search, so that one of them leaves early; and the records of them all."""
    edited(("trials: 2", "trials: 3"))
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    return plan, fabricate(plan, roots)


def test_trials_in_the_frame(bench, roots, folders):
    plan, _ = with_rivals(roots, folders)
    trials = frames(plan, roots).trials
    assert len(trials) == 18
    assert trials.groupby("pruned").size().to_dict() == {False: 12, True: 6}
    assert set(trials.full_steps) == {2}
    assert set(trials.first_step) == {1}
    assert set(trials.steps[trials.pruned]) == {1}
    assert set(trials.steps[~trials.pruned]) == {2}
    assert trials.chosen.sum() == 6
    assert not (trials.chosen & trials.pruned).any()
    assert trials.first_score.tolist() == trials.score.tolist()


def test_finals_of_unchosen_points_in_a_frame_of_their_own(bench, plan, roots, ran, folders):
    before = frames(plan, roots)
    assert before.unchosen.empty
    edited(("trials: 2", "trials: 2, finals: all"))
    made = plan_from_file(Path("suites/small.yaml"), (), folders)
    records = [record for record in fabricate(made, roots) if record.kind == "unchosen"]
    after = frames(made, roots)
    assert len(after.unchosen) == len(records) == len(after.finals) == 12
    jobs = [made.jobs[key] for cell in made.cells for key in cell.unchosen]
    assert after.unchosen.key.tolist() == [key for job in jobs for key in job.record_keys]
    scores = {record.key: record.result["score"] for record in records}
    assert after.unchosen.score.tolist() == [scores[key] for key in after.unchosen.key]
    # every row is that of another trial than the chosen one, and no final has moved
    rows = after.unchosen.merge(after.trials, on=["dataset", "budget", "strategy", "number"], suffixes=("", "_trial"))
    assert len(rows) == 12
    assert not rows.chosen.any()
    assert after.finals.equals(before.finals)
    roots.store.path(records[0].key).unlink()
    assert frames(made, roots).unchosen.status.value_counts().to_dict() == {"ok": 11, "missing": 1}
    assert bench("plan", "suites/small.yaml", "--json").json["left"] == 1


def test_what_the_engine_did_in_the_frames(plan, roots, ran):
    results = frames(plan, roots)
    for frame in (results.finals, results.trials):
        assert set(frame.precision) == {"fp32"}
        assert set(frame.frozen) == {"kept"}
        assert set(frame.replicas) == {4}
        assert set(frame.feature_seconds) == {0.125}
    assert savings(results).in_fleets == 24
    assert feature_seconds(results) == {"small_resnet (source)": 24 * 0.125}


def test_a_trial_that_diverged(plan, roots, folders):
    key = plan.jobs[plan.cells[0].searches[0]].record_keys[1]
    fabricate(plan, roots, {key: "diverged"})
    trial = frames(plan, roots).trials.set_index("key").loc[key]
    assert not trial.pruned
    assert math.isnan(trial.steps)  # its record has no cost
    assert math.isnan(trial.first_score)
    record = roots.store.read(key)
    roots.store.write(dataclasses.replace(record, cost={"logical": {"steps": 3}}))
    assert frames(plan, roots).trials.set_index("key").loc[key].steps == 1.5  # of 2 folds


def test_records_that_say_nothing_of_steps_ran_to_their_end(bench, plan, roots, ran):
    rewrite(ran, roots, bare)
    results = frames(plan, roots)
    assert not results.trials.pruned.any()
    assert set(results.trials.steps) == {2}
    assert set(results.finals.frozen) == {""}
    assert "Validation score in percent of every finished trial" in render(results)
    assert bench("report", "small").code == 0
    assert "left early" not in bench("status", "small").out
    trial = next(record for record in ran if record.kind == "trial")
    assert bench("show", trial.key).out.startswith(f"trial {trial.key}: ok\n")


def test_show_says_where_a_trial_left(bench, roots, folders):
    _, ran = with_rivals(roots, folders)
    early = next(r for r in ran if r.kind == "trial" and r.spec["number"] == 2)
    late = next(r for r in ran if r.kind == "trial" and r.spec["number"] == 0)
    assert bench("show", early.key).out.startswith(f"trial {early.key}: ok, left after 1 of 2 steps\n")
    said = bench("show", late.key).out
    assert said.startswith(f"trial {late.key}: ok\n")
    rungs = said.splitlines()[-3:]
    assert rungs[0].split() == ["step", "loss", "score"]
    assert [line.split()[0] for line in rungs[1:]] == ["1", "2"]


def solved(record):
    """As closed forms leave them: no steps, no rate."""
    if not (record.spec.get("recipe") or {}).get("solve"):
        return record
    spec = {**record.spec, "hyper": {"lr": None, "weight_decay": None, "penalty": 0.1}}
    gone = ("lr", "weight_decay", "steps", "rungs")
    result = {name: value for name, value in record.result.items() if name not in gone}
    return dataclasses.replace(record, spec=spec, result={**result, "penalty": 0.1})


def test_closed_forms_take_no_steps(bench, roots, folders):
    edited(("steps: 2", "steps: 200"), ("strategies: [scratch,", "strategies: [ridge_probe, scratch,"))
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    rewrite(fabricate(plan, roots), roots, solved)
    results = frames(plan, roots)
    trials = results.trials[results.trials.strategy == "ridge_probe"]
    assert set(trials.solved) == {"ridge"}
    assert trials[["lr", "steps", "full_steps", "first_step"]].isna().all(axis=None)
    assert not trials.pruned.any()
    page = render(results)
    assert "every trial after 44 of 200 steps" in page
    assert "solved, not trained (ridge_probe)" in page
    assert not re.search(r">\s*nan\b", page.lower())
    assert "halved after 44 and 133 of 200 steps" in bench("plan", "suites/small.yaml").out
    assert bench("show", trials.key.iloc[0]).out.startswith(f"trial {trials.key.iloc[0]}: ok\n")


def edited(*pairs):
    path = Path("suites/small.yaml")
    text = path.read_text()
    for before, after in pairs:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text)


def test_options_that_are_searched_in_plan_and_frames(bench, roots, folders):
    edited(("{freeze: {upto: 2}}", "{l2_sp: {alpha: {search: [0.01, 1]}}}"))
    said = bench("plan", "suites/small.yaml").out
    assert "searched with the rate, of l2_sp(alpha=0.01..1): alpha 0.01..1 (log)" in said
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)

    def with_options(record):
        if not (record.spec.get("varied") or {}).get("spans"):
            return record
        options = {"alpha": 0.1234567}
        hyper = {**record.spec.get("hyper", {}), "options": options}
        return dataclasses.replace(
            record, spec={**record.spec, "hyper": hyper}, result={**record.result, "options": options}
        )

    rewrite(fabricate(plan, roots), roots, with_options)
    results = frames(plan, roots)
    for frame in (results.finals, results.trials):
        mine = frame.strategy == "l2_sp(alpha=0.01..1)"
        assert set(frame[mine].options) == {"alpha=0.123"}
        assert set(frame[~mine].options) == {""}
    page = render(results)
    assert "Options that were searched" in page
    assert page.count("alpha=0.123<") >= len(results.finals[results.finals.options != ""])
    assert "Options that were searched" not in render(dataclasses.replace(
        results, finals=results.finals.assign(options="")
    ))  # fmt: skip


def test_plan_says_how_searches_run(bench):
    edited(("steps: 2", "steps: 200"), ("trials: 2", "trials: 8"))
    said = bench("plan", "suites/small.yaml").out
    assert "each searched with 8 trials, halved after 44 and 133 of 200 steps (grid, 2 folds; on the first " in said
    assert "first task), then trained 2 times" in said
    edited(("pruner: halving", "pruner: none"))
    assert "each searched with 8 trials, each of 200 steps (grid" in bench("plan", "suites/small.yaml").out
    assert bench("plan", "suites/small.yaml", "--json").json["rungs"] == [200]


@pytest.mark.parametrize(("augment", "views", "told"), [
    ("{}", 0, "images are not changed, so frozen parts see each of them once"),
    ("{views: 3}", 0, "images are not changed"),
    ("{flip: true}", 2, "2 cached views of each training image, so frozen parts see each of them once"),
    ("{shift: 2, views: 4}", 4, "4 cached views of each training image"),
    ("{crop: 0.5}", None, "images change anew in every step"),
    ("{crop: 0.5, views: 3}", 3, "3 cached views of each training image"),
    ("{shift: 2, flip: true}", None, "images change anew in every step, frozen parts are recomputed in each"),
])  # fmt: skip
def test_plan_says_whether_the_stem_is_live(bench, unasked, augment, views, told):
    edited(("steps: 2", f"steps: 2, augment: {augment}"))
    assert f"precision: fp32; {told}" in bench("plan", "suites/small.yaml").out
    assert bench("plan", "suites/small.yaml", "--json").json["views"] == views


def test_plan_says_precision_and_that_nothing_is_saved(bench):
    edited(("precision: fp32", "precision: bf16, partition: false"))
    said = bench("plan", "suites/small.yaml").out
    assert "precision: bf16; frozen parts are computed in every step (engine.partition is off)" in said


def seconds(value):
    def change(record):
        return dataclasses.replace(record, cost={**record.cost, "measured": {**record.cost["measured"], **value}})

    return change


@pytest.mark.parametrize("change", [seconds({"seconds": 0.0}), lambda r: dataclasses.replace(r, cost={"measured": {}}),
                                    lambda r: dataclasses.replace(r, cost={})])
def test_no_estimate_from_records_without_seconds(plan, roots, ran, change):
    rewrite(ran, roots, change)
    roots.store.path(plan.cells[0].finals[0]).unlink()
    assert time_left(read_progress(plan, roots)) == ""


def test_an_estimate_from_pruned_trials_alone(plan, roots, ran):
    for record in ran:
        if record.kind != "trial" or record.spec["number"] == 0:
            (roots.shared if record.kind == "pretrain" else roots.store).path(record.key).unlink()
    assert time_left(read_progress(plan, roots)).startswith("about ")


def test_what_a_search_came_to_and_whether_a_final_collapsed_reach_the_frames(plan, roots, ran):
    """Of old records nothing is known; of new ones what they say."""
    results = frames(plan, roots)
    assert results.finals.collapsed.isna().all()
    assert set(results.trials.spent_steps) == {2}
    assert set(results.trials.num_validation) == {10}
    assert set(results.trials.planned) == {results.trials.number.max() + 1}
    for one in results.trials.itertuples():
        assert one.rungs[-1][:2] == (one.steps, one.score)
        assert one.loss == one.rungs[-1][2]
    told = {"train_loss_end": None, "collapsed": True}
    rewrite([one for one in ran if one.kind == "final"], roots,
            lambda record: dataclasses.replace(record, result={**record.result, **told}))  # fmt: skip
    finals = frames(plan, roots).finals
    assert (finals.collapsed == 1).all()
    assert finals.train_loss_end.isna().all()
    assert "finals have collapsed" in render(frames(plan, roots))
