"""`winner`: what it writes is the network of the record, and the page's own decision says which."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import bench as api
from bench.commands.suites import Folders, plan_from_file, recalled, remember
from bench.datasets import DATASETS
from bench.errors import BenchError
from bench.store import predictions
from tests.commands.conftest import SMALL
from tests.commands.fabricate import fabricate
from tests.engine import toys
from tests.made_up import rescored

ROOT = Path(__file__).parents[2]
SUITE = """\
name: shipped_out
datasets: [{name: near, labels_per_class: [4], options: {train_per_class: 8, test_per_class: 10}}]
backbones: [{name: resnet10t, weights: random, image_size: 32}]
strategies: [full_finetune, ridge_probe, lora, ssf, layer_mix, knn, soup]
training: {steps: 2, evaluations: 1}
search: {scope: cell, trials: 1, sampler: grid, pruner: none}
engine: {precision: fp32}
repeats: 2
"""
# With this in front of it, nothing that `use.py` imports finds our package.
BLOCKED = 'raise ImportError("use.py needs bench")\n'
ASKED = """
import importlib.util, json, sys
from pathlib import Path
said = {}
for folder in map(Path, sys.argv[2:]):
    spec = importlib.util.spec_from_file_location("use", folder / "use.py")
    use = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(use)
    found = use.logits(use.load(folder), sorted(Path(sys.argv[1]).glob("*.png")), folder)
    top = found.log_softmax(1).max(1)
    said[folder.name] = [top.indices.tolist(), top.values.tolist()]
print(json.dumps(said))
"""


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the suite has run, and its test pictures as files."""
    place = tmp_path_factory.mktemp("finished")
    (place / "suite.yaml").write_text(SUITE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(place)}
    words = [sys.executable, "-m", "bench", "run", "suite.yaml", "--workers", "1", "--gpus", "0"]
    done = subprocess.run(words, cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (place / "test").mkdir()
    (place / "blocked").mkdir()
    (place / "blocked" / "bench.py").write_text(BLOCKED)
    entry = DATASETS["near"]
    for number, image in enumerate(entry.load(entry.options(train_per_class=8, test_per_class=10)).test.images):
        Image.fromarray(image).save(place / "test" / f"{number:04}.png")
    return place


@pytest.fixture
def here(finished, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(finished))
    monkeypatch.chdir(finished)
    return finished


def places():
    return Folders(Path("results"), Path("reports"))


def record_of(strategy, repeat=0):
    plan = recalled("shipped_out", places())
    cell = next(cell for cell in plan.cells if cell.strategy == strategy)
    store = places().roots("shipped_out").store
    return store, store.read(cell.finals[repeat])


@pytest.mark.parametrize(("strategies", "built_by"), [
    (("full_finetune", "ridge_probe", "lora"), "timm"), (("ssf", "layer_mix"), "bench"),
])  # fmt: skip
def test_the_script_says_of_every_test_picture_what_the_record_says(bench, here, strategies, built_by):
    before = {path: path.read_bytes() for path in (here / "results" / "shipped_out").rglob("*") if path.is_file()}
    for strategy in strategies:
        said = bench("winner", "shipped_out", "--strategy", strategy, "--output", f"out/{strategy}", "--json")
        assert said.code == 0, said.err
        assert said.json["other_answers"] == 0
        assert said.json["score"] == said.json["recorded_score"]
        assert said.json["built_by"] == built_by
    assert before == {path: path.read_bytes() for path in (here / "results" / "shipped_out").rglob("*")
                      if path.is_file()}  # fmt: skip
    first = here / "blocked" if built_by == "timm" else ROOT
    words = [sys.executable, "-c", ASKED, "test", *(f"out/{strategy}" for strategy in strategies)]
    done = subprocess.run(words, cwd=here, env={**os.environ, "PYTHONPATH": str(first)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for strategy in strategies:
        classes, logs = json.loads(done.stdout)[strategy]
        store, record = record_of(strategy)
        kept = predictions.get(store, record.key, record.final.predictions)
        assert classes == kept.classes.tolist()
        if kept.log_classes is not None:  # ridge regression tells no likelihoods
            assert np.abs(np.array(logs) - kept.log_classes).max() < 5e-3  # they are kept in half precision
        card = (here / "out" / strategy / "model_card.md").read_text(encoding="utf-8")
        assert record.key in card
        assert "all answers are the record's" in card


def test_a_network_that_is_not_its_records_is_told(bench, here):
    store, record = record_of("ridge_probe", 1)
    kept = predictions.get(store, record.key, record.final.predictions)
    classes = kept.classes.copy()
    classes[:7] = (kept.truth[:7] + 1) % 10  # seven that are wrong now
    right = classes == kept.truth
    sha256 = predictions.put(store, record.key, replace(kept, classes=classes, right=right))
    store.write(replace(record, result={**rescored(record.result, float(right.mean())), "predictions": sha256}))
    try:
        said = bench("winner", "shipped_out", "--strategy", "ridge_probe", "--repeat", "1", "--output", "out/other")
    finally:
        predictions.put(store, record.key, kept)
        store.write(record)
    assert said.code == 3
    assert "NOT the network of the record" in said.err
    assert "NOT the network of the record" in (here / "out" / "other" / "model_card.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("words", "code", "text"), [
    (["--strategy", "knn"], 2, "is no layer of a network"),
    (["--strategy", "soup"], 2, "a mean of its trials' weights"),
    (["--strategy", "lra"], 2, "did you mean 'lora'"),
    ([], 2, "nothing is recommended for this task"),
    (["--task", "near@5"], 2, "near@4"),
    (["--strategy", "lora", "--repeat", "2"], 2, "repeats 0 to 1"),
])  # fmt: skip
def test_what_cannot_be_written_is_refused(bench, here, words, code, text):
    said = bench("winner", "shipped_out", *words)
    assert said.code == code
    assert text in said.err
    assert not (here / "exports").exists()


def test_pictures_that_are_no_squares_are_refused():
    from bench.winner.inputs import preprocessing

    spec = toys.fit_spec()
    assert preprocessing(spec, {"images": np.zeros((2, 8, 8, 3), np.uint8)})["stored"]["width"] == 8
    with pytest.raises(BenchError, match="kept as 4x8"):
        preprocessing(spec, {"images": np.zeros((2, 8, 4, 3), np.uint8)})


def test_a_final_without_a_record_or_a_score_is_incomplete(bench, here):
    store, record = record_of("full_finetune", 1)
    path = store.path(record.key)
    kept = path.read_bytes()
    path.unlink()
    try:
        said = bench("winner", "shipped_out", "--strategy", "full_finetune", "--repeat", "1")
        assert (said.code, "has no record yet" in said.error) == (3, True)
        store.write(replace(record, status="failed", result={}, error="it fell over"))
        said = bench("winner", "shipped_out", "--strategy", "full_finetune", "--repeat", "1")
        assert (said.code, "it fell over" in said.error) == (3, True)
    finally:
        path.write_bytes(kept)


def test_it_takes_what_the_page_says_to_take(place, folders):
    from bench.analysis.join import collect
    from bench.winner.choice import Wanted, choose

    (place / "suites" / "small.yaml").write_text(SMALL.replace("[4, 8]", "[4]"))
    plan = plan_from_file(Path("suites/small.yaml"), (), folders)
    remember(plan, (), folders)
    roots = folders.roots("small")
    fabricate(plan, roots)
    found = choose(plan, collect(plan, roots.store, roots.shared), Wanted())
    assert found.is_recommended
    assert found.sentence == api.load("small").answer[0]
    assert found.cell.strategy in found.sentence
