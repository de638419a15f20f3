"""What a person reads when a suite cannot be planned: where, what came, what was expected; all of it at once."""

import dataclasses

import pytest

from bench.datasets import DATASETS
from bench.errors import SuiteError
from bench.planning import probe
from tests.planning.conftest import SMALL

CONV = "{name: toy_conv, pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}}"
STRATEGIES = "[scratch, linear_probe, full_finetune]"


def changed(old, new):
    assert SMALL.count(old) == 1
    return SMALL.replace(old, new)


def dataset(text):
    return changed("{name: tiny, labels_per_class: [4, 10]}", text)


def backbone(text):
    return changed(CONV, text)


def strategy(text):
    return changed(STRATEGIES, f"[scratch, {text}]")


CASES = [
    # datasets
    (dataset("tyni"), "3:5: datasets[0].name: unknown dataset 'tyni'; did you mean 'tiny'"),
    (dataset("{name: tiny, options: {shadow: 1}}"), "3:36: datasets[0].options.shadow: dataset 'tiny' has no option "
     "'shadow'; did you mean 'shade'? Its options: shade: int = 0"),
    (dataset("{name: tiny, options: {shade: dark}}"), "option 'shade' of dataset 'tiny': expected a valid integer, got "
     "'dark'"),
    (dataset("{name: tiny, labels_per_class: [21]}"), "datasets[0].labels_per_class: 21 labels per class: a class of "
     "'tiny' has only 20 training images"),
    (dataset("{name: tiny, label: little, labels_per_class: [21]}"), "a class of 'little' has only 20"),
    (dataset("{name: tiny, total: [61]}"), "datasets[0].total: total 61: 'tiny' has only 60 training images"),
    (dataset("{name: tiny, total: [5]}"), "total 5: fewer than 2 labels for each of 3 classes leave nothing to"),
    (dataset("{name: tiny, labels_per_class: [1]}"), "1: fewer than 2 labels for each of 3 classes"),
    (dataset("{name: tiny, fraction: [0.05]}"), "5%: fewer than 2 labels for each of 3 classes"),
    # backbones
    (backbone("toy_cnov"), "5:5: backbones[0].name: unknown backbone 'toy_cnov'; did you mean 'toy_conv'"),
    (backbone("resnet18.a9_in1k"), "unknown pretrained weights 'resnet18.a9_in1k'"),
    (backbone("{name: toy_conv, options: {width: 3}}"), "backbones[0].options.width: backbone 'toy_conv' has no"),
    (backbone("{name: resnet18, options: {broken: true}}"), "5:5: backbones[0]: backbone 'resnet18': it is broken"),
    (backbone("{name: toy_conv, weights: none.pth}"), "5:31: backbones[0].weights: weights none.pth is not on this "
     "machine; no file of this name here"),
    (backbone("{name: toy_conv, weights: hub}"), "'toy_conv' has no weights on the hub; give `weights: random`"),
    (backbone("resnet18"), "backbones[0].weights: 'resnet18' has no weights on the hub"),
    (backbone("{name: toy_conv, pretrain: {dataset: tyni}}"), "backbones[0].pretrain.name: unknown dataset 'tyni'"),
    (backbone("{name: toy_conv, pretrain: {dataset: tiny, options: {x: 1}}}"), "dataset 'tiny' has no option 'x'"),
    (backbone("toy_conv\n  - {name: toy_conv, weights: random}"), "6:5: backbones[1]: 'toy_conv (random)' stands twice "
     "in this suite; give one of them another `label`"),
    # strategies
    (strategy("liner_probe"), "6:23: strategies[1]: unknown strategy 'liner_probe'; did you mean 'linear_probe'"),
    (strategy("{freeze: {upto: 1, down_to: 0}}"), "strategies[1].options.down_to: strategy 'freeze' has no option "
     "'down_to'"),
    (strategy("freeze"), "strategies[1].options: strategy 'freeze' needs the option 'upto'"),
    (strategy("{freeze: {upto: 6}}"), "6:23: strategies[1]: upto: 6 would freeze the head; this backbone has 6 units"),
    (strategy("{discriminative: {factor: 1}}"), "option 'factor' of strategy 'discriminative'"),
    (strategy("{freeze: {upto: 1}}, {freeze: {upto: all}}"), "strategies[2]: 'freeze(upto=1)' stands twice"),
    (strategy("discriminative, {discriminative: {factor: 2.6}}"), "strategies[2]: 'discriminative' stands twice"),
    (strategy("{recipe: {name: mine, phases: [{rates: {head: 1}}]}}"),
     "strategies[1]: rates: no rate for stem, stage1,"),
    (strategy("{recipe: {name: mine, phases: [{rates: {neck: 1, rest: 1}}]}}"), "'neck' is not a unit"),
    (strategy("{recipe: {name: mine, phases: [{rates: {head: 1, '-1': 1, rest: 1}}]}}"),
     "unit 5 (head) is named twice"),
    (strategy("{recipe: {name: mine, reinit: 6, phases: [{rates: {rest: 1}}]}}"), "reinit: 6 is not a unit"),
    (strategy("{recipe: {name: mine, phases: [{share: 0.5, rates: {rest: 1}}, {share: 0.5, rates: {rest: 0}}]}}"),
     "a phase freezes every unit"),
]


@pytest.mark.parametrize(("text", "says"), CASES, ids=[says[:60] for _, says in CASES])
def test_each_problem_is_told_with_its_place(refused, text, says):
    (line,) = refused(text)
    place = ":".join(line.split(":", 2)[:2])
    assert all(part.isdigit() for part in place.split(":")), line
    assert says in line


def test_files_of_one_name_need_labels(refused, folder):
    for name in ("a", "b"):
        (folder / name).mkdir()
        (folder / name / "w.pth").write_text(name)
    both = "{name: toy_conv, weights: a/w.pth}\n  - {name: toy_conv, weights: b/w.pth}"
    (line,) = refused(backbone(both))
    assert "backbones[1]: 'toy_conv (w.pth)' stands twice in this suite" in line


def test_all_problems_are_told_at_once(refused):
    text = """\
name: bad
datasets: [tyni, {name: tiny, labels_per_class: [99]}]
backbones: [toy_cnov, {name: toy_vit, weights: none.pth}, toy_vit]
strategies: [liner_probe, {freeze: {upto: 5}}, {freeze: {upto: 9}}]
"""
    lines = refused(text)
    told = ["'tyni'", "99 labels", "'toy_cnov'", "none.pth", "'liner_probe'", "upto: 5 would", "upto: 9 would"]
    assert len(lines) == len(told)
    assert all(any(part in line for line in lines) for part in told)


def test_without_any_good_backbone_the_strategies_are_checked_all_the_same(refused):
    lines = refused(backbone("toy_cnov").replace(STRATEGIES, "[liner_probe, {freeze: {depth: 1, upto: 3}}, scratch]"))
    assert len(lines) == 3
    assert "'liner_probe'" in lines[1]
    assert "'depth'" in lines[2]


def test_too_many_trainings(plan):
    """6 cells of 3 trials and 2 finals."""
    assert plan(overrides=["max_runs=30"]).num_trainings == 31
    with pytest.raises(SuiteError, match=r"x.yaml: 6 cells make 30 trainings, over the 29 allowed: each has"):
        plan(overrides=["max_runs=29"])
    with pytest.raises(SuiteError, match="make 48 trainings"):
        plan(SMALL.replace("scope: cell, ", ""), ["max_runs=47"])
    with pytest.raises(SuiteError, match="repeats=1e12: expected at most 1,000,000,000, got 1,000,000,000,000"):
        plan(overrides=["repeats=1e12"])


def test_a_strategy_wrong_for_one_backbone_of_two_is_told_once(refused):
    both = "toy_conv\n  - toy_vit"
    assert len(refused(backbone(both).replace(STRATEGIES, "[{freeze: {upto: 5}}]"))) == 1
    assert len(refused(backbone(both).replace(STRATEGIES, "[liner_probe]"))) == 1


def test_a_size_that_a_network_cannot_take_is_refused(refused, monkeypatch):
    monkeypatch.setattr(probe, "_ask", lambda questions: {
        key: {"unit_names": ["stem", "head"], "mean": [0, 0, 0], "std": [1, 1, 1], "image_size": 224,
              "is_size_fixed": True, "has_batchnorm": True, "has_hub_weights": False, "interpolation": "bicubic",
              "is_depthwise": False, "modality": "image"}
        for key in questions
    })
    (line,) = refused(backbone("{name: vit_tiny_patch16_224, weights: random, image_size: 64}"))
    assert "takes images of 224 pixels only" in line
    assert "img_size: 64" in line


def test_more_folds_than_labels_are_refused(refused):
    (line,) = refused(dataset("{name: tiny, labels_per_class: [3]}").replace("trials: 3}", "validation: {folds: 4}}"))
    assert "4 folds need as many labels of each class, this leaves 3" in line


def test_a_data_set_on_the_way_is_looked_for_like_any_other(refused):
    text = SMALL.replace("full_finetune]", "{intermediate: {dataset: tyny}}, {ridge_probe: {}, stop_early: 3}]")
    unknown, early = refused(text)
    assert "unknown dataset 'tyny'; did you mean 'tiny'?" in unknown
    assert "stop_early" in early


@pytest.mark.parametrize(("then", "told"), [
    ("[{epochs: 2}]", "option 'then[0].dataset' of strategy 'intermediate': is needed"),
    ("[{dataset: near}, {dataset: mid, epoch: 2}]", "option 'then[1].epoch' of strategy 'intermediate': is not known; "
                                                 "did you mean 'epochs'?"),
    ("[{dataset: near, epochs: 0}]", "'then[0].epochs' of strategy 'intermediate': expected greater than or equal to 1,"
                                     " got 0"),
    ("[near]", "option 'then[0]' of strategy 'intermediate': expected a mapping, got 'near'"),
    ("near", "option 'then' of strategy 'intermediate': expected a valid list, got 'near'."),
    ("[{dataset: near}, {dataset: tyny}]", "unknown dataset 'tyny'; did you mean 'tiny'?"),
])  # fmt: skip
def test_what_is_wrong_with_a_later_stage_is_told_at_its_place(refused, then, told):
    (line,) = refused(SMALL.replace("full_finetune]", f"{{intermediate: {{dataset: digits, then: {then}}}}}]"))
    assert told in line
    assert "strategies[2].options.then" in line
    assert ".name" not in line
    assert "Its options" not in line or then == "near"


def test_a_network_of_another_modality_is_refused(refused, monkeypatch):
    monkeypatch.setitem(DATASETS, "tiny", dataclasses.replace(DATASETS["tiny"], modality="sound"))
    found = refused(SMALL.replace("pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}", "weights: random"))
    assert sorted(found) == [
        "3:5: datasets[0]: data set 'tiny' is sound, and no backbone of this suite is for such data",
        "5:5: backbones[0]: backbone 'toy_conv (random)' is for image data, and data set 'tiny' is sound",
    ]
