"""Records as trainings leave them, damaged in one place: each reads as a record or counts as absent with a reason, and
nothing that reads records ever raises."""

import copy
import dataclasses
import json
import math
from pathlib import Path

import pytest

from bench.analysis.headline import headline
from bench.analysis.join import collect
from bench.analysis.tables import terminal_table
from bench.commands.progress import read_progress
from bench.commands.status import summarize
from bench.commands.suites import plan_from_file
from bench.gate.accept import snapshot
from bench.gate.compare import compare
from bench.gate.pairs import Rule
from bench.gate.tonight import tonight_of
from bench.report import render
from bench.report.facts import Facts
from bench.spec.job import Job
from bench.store import Damaged, Record
from bench.store.reading import load
from bench.store.results import Unscored
from tests.commands.fabricate import fabricate
from tests.conftest import put_in_place
from tests.made_up import sealed_text

SORTS = 14
PAGE_EVERY = 3  # of the rounds with a damaged record in every place; tables are made of all of them
DROPPED = "dropped"
LEAVES = (DROPPED, None, "x", [], {}, -1, 10**400, 1e308, float("nan"), True)
READ_OF_SPEC = {"number", "hyper", "training", "data", "backbone"}  # of the other fields no reader asks
SUITE = """\
name: small
datasets:
  - {name: digits, labels_per_class: [4, 8]}
backbones:
  - {name: small_resnet, pretrain: {dataset: source, epochs: 1}}
strategies: [scratch, linear_probe, full_finetune, ridge_probe]
training: {steps: 2, evaluations: 2}
search: {scope: repeat, trials: 4, sampler: grid, pruner: halving, validation: {folds: 2}, finals: all}
engine: {precision: fp32}
repeats: 5
"""


@pytest.fixture(scope="module")
def sorts(tmp_path_factory):
    """One record of each sort, made by the engine."""
    from tests.engine import toys

    with pytest.MonkeyPatch.context() as patch:
        put_in_place(patch)
        context = toys.context(tmp_path_factory.mktemp("engine"))
        spec, pretraining = toys.pretrained(context)
        search = dataclasses.replace(toys.SEARCH, lr_low=1e30, lr_high=1e31)  # diverges
        lost = dataclasses.replace(spec, search=search)
        unfit = dataclasses.replace(spec, recipe=toys.recipe("vpt", 6))
        found = [context.shared.read(pretraining.key)]
        for one in (spec, lost, unfit, dataclasses.replace(spec, recipe=toys.recipe("ridge_probe", 6))):
            trials, final = toys.everything(context, one, pretraining.key)
            found += [trials[0], final]
            if one in (spec, lost):
                job = Job("unchosen", one, (pretraining.key, toys.search_and_final(one, pretraining.key)[0].key))
                assert toys.perform(job, context)
                found.append(context.store.read(job.record_keys[0]))
        own = toys.search_and_final(dataclasses.replace(spec, recipe=toys.recipe("own_head", 6)))[1]
        assert toys.perform(own, context)
        found.append(context.store.read(own.key))
        known = {name: value for name, value in found[2].result.items() if name in Unscored.model_fields}
        stopped = dataclasses.replace(found[2], status="diverged", result=known, error="x")
        return [*found, stopped, dataclasses.replace(stopped, status="failed", result={"traceback": "x"}, cost={})]


def damages(raw):
    """(where, what, the whole of it): every value and every container of values, in every way; of a list its first."""

    def places(value, path):
        if isinstance(value, dict | list):
            inner = list(value.items() if isinstance(value, dict) else enumerate(value[:1]))
            for name, one in inner if path != ("spec",) else [item for item in inner if item[0] in READ_OF_SPEC]:
                yield (*path, name)
                yield from places(one, (*path, name))

    for path in places(raw, ()):
        for what in LEAVES:
            made = copy.deepcopy(raw)
            holder = made
            for name in path[:-1]:
                holder = holder[name]
            if what is DROPPED:
                del holder[path[-1]]
            else:
                holder[path[-1]] = what
            yield path, what, made


def planted(raw, target):
    """The same in the place of a record of the plan, whose own spec it has but for the point."""
    spec = {**target.spec, **({"hyper": raw["spec"]["hyper"]} if "hyper" in raw["spec"] else {})}
    moved = {**raw, "key": target.key, "spec": spec}
    if target.kind == "unchosen" and "trial" in raw.get("result", {}):
        moved["result"] = {**raw["result"], "trial": spec["number"]}
    return moved


@pytest.fixture
def world(place, folders):
    Path("suites/small.yaml").write_text(SUITE)
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    roots = folders.roots("small")
    return plan, roots, fabricate(plan, roots)


def look(plan, roots, baseline, page):
    """All that reads records."""
    results = collect(plan, roots.store, roots.shared)
    facts = Facts.of(results)
    assert headline(results, facts.findings)
    terminal_table("x", facts.summary)
    progress = read_progress(plan, roots)
    assert len(summarize(progress, roots)["damaged"]) == len(results.damaged) == len(progress.damaged)
    tonight = tonight_of(plan, progress.records)
    assert compare(baseline, tonight, Rule(0.5, 2.0)).verdicts
    if page:
        assert f"{len(results.damaged)} record files could not be read" in render(results) or not results.damaged
    return results


def test_each_is_a_record_or_absent_with_a_reason_and_no_reader_raises(world, sorts):
    plan, roots, ran = world
    assert len(sorts) == SORTS
    assert {one.kind for one in sorts} == {"pretrain", "trial", "final", "unchosen"}
    assert {one.status for one in sorts} == {"ok", "diverged", "failed", "not_applicable"}
    baseline = snapshot(tonight_of(plan, read_progress(plan, roots).records), "1970-01-01T00:00:00Z")
    targets = {kind: [one for one in ran if one.kind == kind] for kind in {one.kind for one in ran}}
    tried, rejected, accepted, seen = 0, 0, {kind: [] for kind in targets}, set()
    for one in sorts:
        target = targets[one.kind][0]
        path = roots.store.path(target.key)
        for where, what, raw in damages(planted(json.loads(json.dumps(one.as_dict())), target)):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sealed_text(raw))
            found = load(path)
            tried += 1
            if isinstance(found, Damaged):
                rejected += 1
                assert len(found.reason.splitlines()) == 1
                assert found.reason
            elif (damage := (one.kind, one.status, where, repr(what))) not in seen:
                assert isinstance(found, Record)
                seen.add(damage)
                accepted[one.kind].append(raw)
        path.unlink()
    assert tried > 5000
    assert rejected > tried / 2
    rounds = max(math.ceil(len(accepted[kind]) / len(targets[kind])) for kind in targets if kind != "pretrain")
    fabricate(plan, roots)
    for number in range(rounds):
        for kind, places in targets.items():
            some = accepted[kind][number * len(places) : (number + 1) * len(places)]
            for target, raw in zip(places, some, strict=False):
                store = roots.shared if kind == "pretrain" else roots.store
                store.path(target.key).write_bytes(sealed_text(planted(raw, target)))
        results = look(plan, roots, baseline, page=number % PAGE_EVERY == 0)
        assert results.damaged == []


@pytest.mark.parametrize(("field", "value", "reason"), [
    ("score", "x", "result.score: expected a number, got 'x'"),
    ("score", None, "result.score: expected a number, got None"),
    ("score", 1.5, "result.score: expected less than or equal to 1.000001, got 1.5"),
    ("score", -0.5, "a score of -0.5, but accuracy goes from 0 to 1"),
    ("num_test", 0, "result.num_test is 0"),
    ("curve", {}, "result.curve: expected a list, got {}"),
    ("num_test", DROPPED, "result.num_test: missing"),
])  # fmt: skip
def test_one_is_named_wherever_records_are_read(bench, plan, roots, ran, field, value, reason):
    path = roots.store.path(plan.cells[0].finals[0])
    raw = json.loads(path.read_text())
    raw["result"][field] = value
    if value is DROPPED:
        del raw["result"][field]
    path.write_bytes(sealed_text(raw))
    line = f"{path}: {reason}"
    assert bench("status", "small").out.count(line) == 1
    assert f"damaged record, counted as absent: {reason}" in bench("show", path.stem).error
    results = collect(plan, roots.store, roots.shared)
    assert results.damaged == [line]
    assert results.finals.status.tolist().count("missing") == 1
    assert "1 record file could not be read" in render(results)
