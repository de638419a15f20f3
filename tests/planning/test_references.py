"""Which cells published values speak of, and what of their protocol is the same."""

import pytest

from bench.errors import SuiteError
from bench.planning.references import published_of

SUITE = """\
name: small
datasets:
  - {name: tiny, labels_per_class: [4], total: [20], label: mine}
  - {name: near, classes: {half: A}, labels_per_class: [4], label: half}
backbones:
  - {name: toy_conv, pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}, label: taught}
  - {name: toy_conv, weights: random, label: untaught}
  - {name: resnet18.a1_in1k, image_size: 16}
strategies: [scratch, linear_probe, ridge_probe, {freeze: {upto: 1}}]
pitfalls: [no_normalisation]
training: {steps: 20, batch_size: 8}
search: {scope: cell, trials: 3}
repeats: 2
references: [refs.yaml]
"""
FILE = """\
source: Somebody 2020
address: made up
tables:
  - {{table: "1", checked: text, {said}, rows: [{{values: [50]}}]}}
"""
PROBE = "dataset: tiny, labels_per_class: 4, backbone: toy_conv, strategy: linear_probe"


@pytest.fixture
def matches(plan, folder):
    def found(said, suite=SUITE):
        (folder / "suites" / "refs.yaml").write_text(FILE.format(said=said))
        (one,) = published_of(plan(suite))
        assert len(one.file.values) == 1
        return one.matches

    return found


def cells(found):
    return [one.cell for one in found]


def facts(found):
    (one,) = found
    return {fact.name: fact for fact in one.facts}


def test_by_names_or_by_labels(matches):
    mine = [("mine", "4", "taught", "linear_probe")]
    assert cells(matches(PROBE)) == mine
    assert cells(matches(PROBE.replace("dataset: tiny", "dataset: mi*"))) == mine
    assert cells(matches(PROBE.replace("backbone: toy_conv", "backbone: ['no*', taught]"))) == mine
    assert cells(matches(PROBE.replace("toy_conv", "resnet18.*_in1k"))) == [
        ("mine", "4", "resnet18.a1_in1k", "linear_probe")]  # fmt: skip


@pytest.mark.parametrize(("old", "new"), [
    ("tiny", "tin"), ("tiny", "tiny2"), ("class: 4", "class: 5"), ("labels_per_class: 4", "fraction: 0.04"),
    ("toy_conv", "toy"), ("linear_probe", "linear"), ("linear_probe", "full_finetune"),
    ("labels_per_class: 4", "total: 8"),
])  # fmt: skip
def test_nothing_is_guessed(matches, old, new):
    assert matches(PROBE.replace(old, new)) == ()


def test_a_total_is_another_budget(matches):
    assert cells(matches(PROBE.replace("labels_per_class: 4", "total: 20"))) == [
        ("mine", "total 20", "taught", "linear_probe")]  # fmt: skip


def test_a_strategy_with_options_needs_them_or_a_pattern(matches):
    assert matches(PROBE.replace("linear_probe", "freeze")) == ()
    assert [cell[3] for cell in cells(matches(PROBE.replace("linear_probe", "'freeze*'")))] == ["freeze(upto=1)"]


def test_neither_part_of_a_set_nor_mistakes_nor_untaught_networks(matches):
    found = cells(matches(PROBE.replace("tiny", "'*'").replace("toy_conv", "'*'").replace("linear_probe", "'*probe*'")))
    assert {cell[0] for cell in found} == {"mine"}
    assert {cell[2] for cell in found} == {"taught", "resnet18.a1_in1k"}
    assert {cell[3] for cell in found} == {"linear_probe", "ridge_probe"}


def test_scratch_on_two_names_of_one_network_counts_once(matches):
    found = matches(PROBE.replace("linear_probe", "scratch"))
    assert cells(found) == [("mine", "4", "taught", "scratch")]
    assert facts(found)["pretraining"].ours == "none"


def protocol(words, said=PROBE):
    return f"{said}, protocol: {{{words}}}"


def test_what_is_the_same_what_differs_and_what_nobody_knows(matches):
    told = facts(matches(protocol("steps: 20, batch_size: 16, settings: 3, repeats: 1, average: median, reads: last")))
    assert {name: (fact.ours, fact.theirs, fact.same) for name, fact in told.items()} == {
        "pretraining": ("tiny", "", None),
        "labels": ("4", "4", True),
        "steps": ("20", "20", True),
        "batch size": ("8", "16", False),
        "image size": (told["image size"].ours, "", None),
        "settings tried": ("3", "3", True),
        "moment of the score": ("after the last step", "after the last step", True),
        "repeats": ("2", "1", False),
        "average": ("mean", "median", False),
        "metric": ("accuracy", "", None),
    }


def test_a_choice_on_the_test_set_differs(matches):
    fact = facts(matches(protocol("reads: best_on_test")))["moment of the score"]
    assert fact.same is False
    assert "by test scores" in fact.theirs


def test_the_size_of_images(matches):
    said = PROBE.replace("toy_conv", "'resnet18*'")
    assert facts(matches(protocol("image_size: 16", said)))["image size"].same is True
    assert facts(matches(protocol("image_size: 224", said)))["image size"].same is False


def test_a_closed_form_takes_no_steps(matches):
    solved = PROBE.replace("linear", "ridge")
    told = facts(matches(protocol("steps: 20, batch_size: 8, settings: 3", solved)))
    assert (told["steps"].theirs, told["steps"].same) == ("20", False)
    assert "batch size" not in told
    assert (told["settings tried"].ours, told["settings tried"].same) == ("", None)
    assert "steps" not in facts(matches(solved))


@pytest.mark.parametrize(("words", "same"), [
    ("pretraining: ImageNet", None), ("pretraining: ImageNet, weights: 'resnet18.a1_*'", True),
    ("pretraining: ImageNet, weights: [resnet18.tv_in1k]", False), ("pretraining: none", False),
])  # fmt: skip
def test_weights_are_the_same_only_where_the_file_names_them(matches, words, same):
    fact = facts(matches(protocol(words, PROBE.replace("toy_conv", "'resnet18*'"))))["pretraining"]
    assert (fact.ours, fact.same) == ("resnet18.a1_in1k", same)


def test_no_weights_on_either_side_are_the_same(matches):
    said = PROBE.replace("linear_probe", "scratch")
    assert facts(matches(protocol("pretraining: none", said)))["pretraining"].same is True
    assert facts(matches(protocol("pretraining: ImageNet", said)))["pretraining"].same is False


STUDY = """\
name: study
transferability:
  dataset: near
  splits: [0]
  keep: [1, 2]
  backbone: {name: toy_conv, pretrain: {epochs: 1}}
training: {steps: 20, batch_size: 8}
search: {scope: cell, trials: 1}
repeats: 2
references: [refs.yaml]
"""
KEPT = "dataset: near, labels_per_class: full, backbone: toy_conv, pair: split*, treatment: AnB, keep: 2"


def test_cells_of_a_study_by_what_they_are_in_it(matches):
    found = matches(KEPT, STUDY)
    assert len(found) == 2  # both directions
    assert {cell[3] for cell in cells(found)} == {"transplant(keep=2)"}
    assert matches(KEPT.replace("split*", "'*and*'"), STUDY) == ()
    assert matches(KEPT.replace("keep: 2", "keep: 7"), STUDY) == ()
    assert len(matches(KEPT.replace("AnB, keep: 2", "base"), STUDY)) == 2
    assert matches(KEPT.replace("pair: split*, treatment: AnB, keep: 2", "strategy: '*'"),
                   STUDY) == ()  # fmt: skip


def test_references_move_no_key(plan, folder):
    (folder / "suites" / "refs.yaml").write_text(FILE.format(said=PROBE))
    assert plan(SUITE).jobs.keys() == plan(SUITE.replace("references: [refs.yaml]\n", "")).jobs.keys()


def test_a_wrong_file_stops_a_plan(plan, folder):
    (folder / "suites" / "refs.yaml").write_text("source: x")
    with pytest.raises(SuiteError, match=r"references\[0\]: suites/refs.yaml:1:1: tables: missing"):
        plan(SUITE)
