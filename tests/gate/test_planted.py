"""The proof: mistakes planted in a copy of this package turn the gate red, with the right cells named. Minutes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUITE = """\
name: planted
datasets:
  - {name: near, labels_per_class: [10]}
  - {name: digits, labels_per_class: [10]}
backbones:
  - {name: small_resnet, pretrain: {dataset: source, epochs: 6}, label: resnet}
strategies: [scratch, linear_probe, full_finetune, lora]
training: {steps: 60, batch_size: 16, evaluations: 1}
search: {trials: 3, lr: [0.01, 0.3], validation: {folds: 2}, scope: cell}
engine: {precision: fp32}
repeats: 5
"""

pytestmark = pytest.mark.slow


class Copy:
    """The package as it is, in a folder where it can be spoilt."""

    def __init__(self, folder):
        self.folder = folder
        shutil.copytree(ROOT / "bench", folder / "bench", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "planted.yaml").write_text(SUITE)

    def plant(self, file, old, new):
        path = self.folder / "bench" / file
        text = path.read_text()
        assert text.count(old) == 1, "what is spoilt is still there, once"
        path.write_text(text.replace(old, new))

    def typed(self, *arguments):
        environment = {**os.environ, "PYTHONPATH": str(self.folder)}
        return subprocess.run([sys.executable, "-m", "bench", *arguments], cwd=self.folder, env=environment,
                              capture_output=True, text=True, check=False)  # fmt: skip


@pytest.fixture(scope="module")
def accepted(tmp_path_factory):
    copy = Copy(tmp_path_factory.mktemp("sound"))
    done = copy.typed("baseline", "accept", "planted.yaml")
    assert done.returncode == 0, done.stderr
    return copy


@pytest.fixture
def gated(accepted, tmp_path):
    """Exit code, and the words of the cells as (dataset, strategy) -> word."""

    def gate(*plants):
        copy = Copy(tmp_path / "spoilt")
        for one in plants:
            copy.plant(*one)
        baseline = accepted.folder / "results" / "baselines" / "planted.json"
        done = copy.typed("gate", "planted.yaml", "--baseline", str(baseline), "--json")
        assert done.stdout, done.stderr
        told = json.loads(done.stdout)
        return done.returncode, {(cell["dataset"], cell["strategy"]): cell["word"] for cell in told["cells"]}, told

    return gate


def test_the_same_code_elsewhere_is_green_to_the_bit(gated):
    code, words, _ = gated()
    assert code == 0
    assert set(words.values()) == {"identical"}


def test_a_rate_that_is_scaled_wrong(gated):
    code, words, _ = gated(("strategies/lora.py", "uniform([1.0] * num_units)", "uniform([0.02] * num_units)"))
    assert code == 1
    assert {cell for cell, word in words.items() if word == "regressed"} == {("near", "lora"), ("digits", "lora")}
    assert {word for (_, strategy), word in words.items() if strategy != "lora"} == {"identical"}


def test_a_weight_tensor_that_is_disturbed(gated):
    """One tensor of the pretrained body is lost on its way into the network: who uses it falls, scratch does not."""
    code, words, _ = gated((
        "network/build.py",
        "    network.module.load_state_dict(taken, strict=False)\n",
        "    spoilt = sorted(name for name in taken if taken[name].ndim == 4)[2]\n"
        "    taken = {**taken, spoilt: torch.zeros_like(taken[spoilt])}\n"
        "    network.module.load_state_dict(taken, strict=False)\n",
    ))
    assert code == 1
    assert words["near", "linear_probe"] == "regressed"
    assert {words["near", "scratch"], words["digits", "scratch"]} == {"identical"}


def test_a_normalisation_that_is_gone(gated):
    """From transfers, not from the pretraining, which learned with it."""
    code, words, _ = gated((
        "planning/enumerate.py",
        "        pipeline=pipeline(backbone.spec, backbone.facts, task.dataset.facts),\n",
        "        pipeline=replace(pipeline(backbone.spec, backbone.facts, task.dataset.facts), mean=(0.0,) * 3,\n"
        "                         std=(1.0,) * 3),\n",
    ))
    assert code == 1
    assert {"regressed"} <= set(words.values())
    assert "incomparable" not in words.values(), "what the code derives is no setting of the person's"
