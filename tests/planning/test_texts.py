"""Suites of texts as planned: what stands in their keys, what is refused, and what stands in for what is missing."""

import dataclasses

import pytest

from bench import backbones
from bench.planning import enumerate as plans
from bench.planning.settings import for_modality
from bench.planning.stand_in import rehearsal
from bench.spec.refs import TextChanges, TextPipeline
from bench.suite.load import load_suite
from tests.engine import toys

TEXT = """\
name: texts
datasets:
  - {name: sentences_near, labels_per_class: [4]}
backbones:
  - {name: small_transformer, pretrain: {dataset: sentences, epochs: 1, optimizer: adamw}}
strategies: [full_finetune]
training: {steps: 20, batch_size: 8}
search: {scope: cell, trials: 3}
repeats: 1
"""
MIXED = TEXT.replace("backbones:\n", "  - {name: tiny, labels_per_class: [4]}\nbackbones:\n  - {name: toy_conv}\n")
HUB = """\
name: texts
datasets:
  - {name: "csv:reviews.csv", labels_per_class: [4, 50]}
  - {name: "csv:questions.csv"}
backbones:
  - {name: "hf:me/encoder"}
strategies: [scratch, {freeze: {upto: 11}}, {intermediate: {dataset: "csv:reviews.csv"}}]
training: {steps: 400}
search: {trials: 9}
repeats: 5
"""


def changed(old, new, text=TEXT):
    assert text.count(old) == 1
    return text.replace(old, new)


def specs(plan, kind="final"):
    return [job.spec for job in plan.jobs.values() if job.kind == kind]


def test_changes_of_other_data_are_none_of_a_networks_own(plan):
    augment = "training: {augment: {flip: true, shift: 2, crop: 0.5, text: {mask: 0.1, drop: 0.2}}, "
    found = specs(plan(changed("training: {", augment, MIXED)))
    of = {spec.data.name: spec.training for spec in found}
    assert of["sentences_near"] == dataclasses.replace(of["tiny"], flip=False, shift=0, crop=0.0,
                                                       text=TextChanges(0.1, 0.2), optimizer="adamw")  # fmt: skip
    assert (of["tiny"].flip, of["tiny"].shift, of["tiny"].crop, of["tiny"].text) == (True, 2, 0.5, None)


def test_changes_that_change_nothing_are_in_no_key(plan):
    plain, none = plan(TEXT), plan(changed("training: {", "training: {augment: {text: {mask: 0}}, "))
    assert plain.jobs.keys() == none.jobs.keys()
    other = plan(changed("training: {", "training: {augment: {text: {mask: 0.1}}, "))
    assert not {job.key for job in other.jobs.values() if job.kind == "final"} & plain.jobs.keys()
    assert for_modality(toys.TRAINING, "text").text is None


def test_changes_of_clips_that_change_nothing_are_in_no_key_either(plan):
    text = """\
name: clips
datasets: [{name: tones, labels_per_class: [4]}]
backbones: [{name: small_resnet, takes: log_mel}]
strategies: [full_finetune]
training: {steps: 20, batch_size: 8}
search: {scope: cell, trials: 3}
repeats: 1
"""
    plain = plan(text)
    for nothing in ("{}", "{shift: 0, widest: 0.5}"):
        none = plan(changed("training: {", f"training: {{augment: {{views: 2, sound: {nothing}}}, ", text))
        assert none.jobs.keys() == plain.jobs.keys()
    some = plan(changed("training: {", "training: {augment: {sound: {shift: 0.1}}, ", text))
    assert not some.jobs.keys() & plain.jobs.keys()


def test_an_objective_of_labels_is_in_no_key(plan):
    plain, said = plan(TEXT), plan(changed("epochs: 1", "epochs: 1, objective: labels"))
    masked = plan(changed("epochs: 1", "epochs: 1, objective: masked"))
    assert plain.jobs.keys() == said.jobs.keys()
    assert [spec.objective for spec in specs(masked, "pretrain")] == ["masked"]
    assert not masked.jobs.keys() & plain.jobs.keys()


def test_pictures_have_another_way_to_learn_without_labels(plan, refused):
    lines = refused("""\
name: small
datasets: [{name: tiny, labels_per_class: [4]}]
backbones: [{name: toy_conv, pretrain: {dataset: tiny, objective: masked}}]
strategies: [scratch]
""")
    assert len(lines) == 1
    assert "backbones[0].pretrain.objective: masked tokens are learned of texts, and 'toy_conv' takes" in lines[0]
    assert "`rotation` learns pictures without labels" in lines[0]


@pytest.mark.parametrize(("text", "said"), [
    (changed("training: {", "training: {augment: {text: {mask: 0.6, drop: 0.4}}, "), "take 1 of the tokens together"),
    (changed("epochs: 1", "epochs: 1, objective: rows"), "backbones[0].pretrain.objective"),
    (changed("{name: small_transformer,", "{name: small_transformer, options: {heads: 3},"),
     "backbone 'small_transformer': width is shared evenly by the heads, and 64 is no multiple of 3. Its options"),
])  # fmt: skip
def test_what_is_wrong_is_told(refused, text, said):
    assert said in "\n".join(refused(text))


@pytest.fixture
def maskless(monkeypatch):
    """An encoder whose tokenizer has no mask token."""
    entry = backbones.BACKBONES["small_transformer"]
    takes = lambda options: TextPipeline("digest", 64)  # noqa: E731
    monkeypatch.setitem(backbones.BACKBONES, "small_transformer", dataclasses.replace(entry, takes=takes))


@pytest.mark.usefixtures("maskless")
def test_a_tokenizer_without_a_mask_token_is_told_of(plan, refused):
    assert plan(changed("training: {", "training: {augment: {text: {drop: 0.1}}, "))
    lines = refused(changed("training: {", "training: {augment: {text: {mask: 0.1}}, "))
    assert "has no mask token; `drop` hides tokens without one" in lines[0]
    lines = refused(changed("epochs: 1", "epochs: 1, objective: masked"))
    assert "backbones[0].pretrain.objective: the tokenizer of 'small_transformer' has no mask token" in lines[0]


def test_units_follow_the_options(plan):
    found = plan(changed("{name: small_transformer,", "{name: small_transformer, options: {layers: 2},"))
    assert {cell.num_units for cell in found.cells} == {4}


def test_written_sentences_stand_in_for_texts_and_a_small_network_for_encoders(folder):
    path = folder / "suites" / "x.yaml"
    path.write_text(HUB)
    missing = ["dataset csv:reviews.csv", "dataset csv:questions.csv", "weights hf:me/encoder"]
    stood_in = rehearsal(load_suite(path), missing)
    suite = stood_in.suite
    assert [spec.name for spec in suite.datasets] == ["sentences_near", "sentences_mid"]
    assert [(spec.name, spec.pretrain.dataset) for spec in suite.backbones] == [("small_transformer", "sentences")]
    assert suite.strategies[1].options == {"upto": 4}
    assert suite.strategies[2].options["dataset"] == "sentences_far"
    assert "backbone hf:me/encoder: small_transformer, pretrained here on written sentences" in stood_in.stand_ins
    plan = plans.make_plan(stood_in, folder / "cache")
    assert {spec.data.name for spec in specs(plan)} == {"sentences_near", "sentences_mid"}


def test_pictures_keep_what_stood_in_for_them(folder):
    path = folder / "suites" / "x.yaml"
    path.write_text(HUB.replace('"hf:me/encoder"', "resnet18.a1_in1k").replace("csv:q", "folder:q"))
    suite = rehearsal(load_suite(path), ["dataset csv:reviews.csv", "dataset folder:questions.csv"]).suite
    assert [spec.name for spec in suite.datasets] == ["near", "digits"]
    assert [(spec.name, spec.image_size) for spec in suite.backbones] == [("small_resnet", 32)]
