"""From arrays with a further split to the terminal, the record and the page: images of another style score lower."""

import dataclasses
import re

import numpy as np
import pytest

from bench.commands.suites import plan_from_file, remember
from bench.datasets import DATASETS, parse_options

from .fabricate import fabricate

SUITE = """\
name: small
description: Worlds in another style.
datasets:
  - {name: "npz:worlds.npz", labels_per_class: [8]}
backbones:
  - {name: small_resnet, pretrain: {dataset: source, options: {train_per_class: 40}, epochs: 5}}
strategies: [scratch, ridge_probe]
training: {steps: 30, evaluations: 1}
search: {scope: cell, trials: 2, sampler: grid, validation: {folds: 2}}
repeats: 2
"""


@pytest.fixture
def worlds(place):
    """`near`, and the same classes least like the source."""
    entry = DATASETS["near"]
    plain, strange = (
        entry.load(parse_options(entry, {"train_per_class": 10, "test_per_class": 20, "style": style}))
        for style in (0.0, 1.0)
    )
    np.savez(place / "worlds.npz", x_train=plain.train.images, y_train=plain.train.labels, x_test=plain.test.images,
             y_test=plain.test.labels, x_shift=strange.test.images, y_shift=strange.test.labels)  # fmt: skip
    (place / "suites" / "small.yaml").write_text(SUITE)
    return place


def test_a_run_tells_both_scores_everywhere(bench, worlds):
    said = bench("run", "suites/small.yaml")
    assert said.code == 0, said.err
    pairs = [tuple(map(float, pair)) for pair in re.findall(r"(\d+\.\d)[^()]*\(2\), shift (\d+\.\d)", said.out)]
    assert len(pairs) == 2
    assert pairs[1][0] > pairs[1][1] + 20, "what was learned of plain images helps less with strange ones"
    finals = [path for path in worlds.glob("results/small/runs/*/*.json") if '"kind": "final"' in path.read_text()]
    shown = bench("show", finals[0].stem)
    assert re.search(r"shift +loss=\S+, num=200, score=0\.\d+", shown.out)
    (page,) = (worlds / "reports").glob("small.html")
    assert "Shift: the score on a further split" in page.read_text()
    assert f"<bdi>{pairs[1][1]:.1f}" in page.read_text()


def test_the_page_says_how_many_of_its_images_are_training_images_too(bench, worlds, folders):
    plan = plan_from_file(worlds / "suites" / "small.yaml", (), folders)
    store = folders.roots("small").store
    for record in fabricate(plan, folders.roots("small")):
        if record.kind == "final":
            store.write(dataclasses.replace(record, result={**record.result, "shift_in_train": 3}))
    remember(plan, (), folders)
    assert bench("report", "small").code == 0
    page = (worlds / "reports" / "small.html").read_text()
    assert "worlds.npz: 3 of 200 shift images are training images too, pixel by pixel." in page
