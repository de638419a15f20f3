"""`plan(text)`: a suite's text made into a plan. The toy catalogue is in place, and timm answers without a process."""

import pytest

from bench.errors import SuiteError
from bench.planning import probe
from bench.planning.enumerate import make_plan
from bench.suite.load import load_suite

SMALL = """\
name: small
datasets:
  - {name: tiny, labels_per_class: [4, 10]}
backbones:
  - {name: toy_conv, pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}}
strategies: [scratch, linear_probe, full_finetune]
training: {steps: 20, batch_size: 8}
search: {scope: cell, trials: 3}
repeats: 2
"""

TIMM = {"unit_names": ["stem", "layer1", "head"], "mean": [0.1, 0.2, 0.3], "std": [0.5, 0.5, 0.5], "image_size": 32,
        "is_size_fixed": False, "has_batchnorm": True, "interpolation": "bicubic", "is_depthwise": False,
        "modality": "image"}


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny):
    """An empty place to be in, with a folder `suites`."""

    def ask(questions):
        return {
            key: {"error": "it is broken"} if "broken" in question["options"]
            else {**TIMM, "has_hub_weights": "." in question["name"]}
            for key, question in questions.items()
        }

    monkeypatch.setattr(probe, "_ask", ask)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "suites").mkdir()
    (tmp_path / "data" / "weights").mkdir(parents=True)
    (tmp_path / "data" / "weights" / "resnet18.a1_in1k.pth").write_bytes(b"weights")
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    return tmp_path


@pytest.fixture
def plan(folder):
    def make(text=SMALL, overrides=(), **options):
        path = folder / "suites" / "x.yaml"
        path.write_text(text)
        return make_plan(load_suite(path.relative_to(folder), overrides), folder / "cache", **options)

    return make


@pytest.fixture
def refused(plan):
    """The lines a person reads, without the name of the file."""

    def problems(text, **options):
        with pytest.raises(SuiteError) as caught:
            plan(text, **options)
        assert caught.value.exit_code == 2
        assert all(line.startswith("suites/x.yaml:") for line in caught.value.problems)
        return [line.removeprefix("suites/x.yaml:") for line in caught.value.problems]

    return problems
