"""Names read from timm's sources against timm itself; facts asked once and kept."""

import json

import pytest
import timm

from bench import backbones
from bench.backbones import timm_names
from bench.backbones.base import BackboneFacts
from bench.errors import BenchError
from bench.planning import probe
from bench.suite.schema import BackboneSpec


def test_the_index_of_names_is_timms():
    assert set(timm_names.index()) == set(timm.list_models())


def test_nearly_all_weight_tags_are_known_and_hardly_one_is_made_up():
    known = {f"{name}.{tag}" for name, tags in timm_names.index().items() for tag in tags}
    pretrained = set(timm.list_models(pretrained=True))
    assert len(pretrained - known) < 0.03 * len(pretrained)
    assert len(known - pretrained) < 0.01 * len(pretrained)


def test_the_default_tag_is_timms():
    wrong = []
    for name, tags in timm_names.index().items():
        config = timm.get_pretrained_cfg(name)
        if tags and config.has_weights and tags[0] != config.tag:
            wrong.append((name, tags[0], config.tag))
    assert wrong == []


def test_names_are_found_or_refused_with_the_nearest():
    assert backbones.find("small_resnet").name == "small_resnet"
    assert backbones.find("resnet18") is None
    assert backbones.find("resnet18.a1_in1k") is None
    with pytest.raises(BenchError, match=r"unknown backbone 'resnet81'; did you mean .*'resnet18'"):
        backbones.find("resnet81")
    with pytest.raises(BenchError, match=r"unknown pretrained weights 'resnet18.a9_in1k'.*'resnet18.a1_in1k'"):
        backbones.find("resnet18.a9_in1k")
    assert backbones.full_name("resnet18") == "resnet18.a1_in1k"
    assert backbones.full_name("resnet18.tv_in1k") == "resnet18.tv_in1k"


FACTS = {
    "unit_names": ["stem", "layer1", "head"], "mean": [0.1, 0.2, 0.3], "std": [1.0, 1.0, 1.0], "image_size": 64,
    "is_size_fixed": False, "has_batchnorm": True, "has_hub_weights": True, "interpolation": "bicubic",
    "is_depthwise": False,
    "modality": "image",
}


@pytest.fixture
def asked(monkeypatch):
    """Questions that reached timm, each list one subprocess."""
    calls = []

    def ask(questions):
        calls.append([question["name"] for question in questions.values()])
        return {
            key: {"error": "no such thing"} if question["options"] else FACTS for key, question in questions.items()
        }

    monkeypatch.setattr(probe, "_ask", ask)
    return calls


def facts_of(specs, cache):
    return probe.facts_for([(spec, None) for spec in specs], cache)


def test_facts_are_asked_once(asked, tmp_path):
    specs = [BackboneSpec(name="resnet18"), BackboneSpec(name="small_resnet"), BackboneSpec(name="resnet34")]
    first = facts_of(specs, tmp_path)
    assert asked == [["resnet18", "resnet34"]]  # the catalogue's own need no asking
    assert facts_of(specs, tmp_path) == first
    assert len(asked) == 1
    units = ("stem", "layer1", "head")
    assert first[0] == BackboneFacts(units, (0.1, 0.2, 0.3), (1.0, 1.0, 1.0), 64, has_hub_weights=True)
    assert first[1] == backbones.BACKBONES["small_resnet"].facts
    facts_of([BackboneSpec(name="resnet18", units="fine")], tmp_path)
    assert asked[1:] == [["resnet18"]]  # another question


@pytest.mark.parametrize("damage", ["", "{", "null", "[]", "{}", '{"unit_names": []}', "\x00\xff"])
def test_a_damaged_answer_is_asked_again(asked, tmp_path, damage, caplog):
    spec = BackboneSpec(name="resnet18")
    facts = facts_of([spec], tmp_path)
    (kept,) = (tmp_path / "timm").iterdir()
    kept.write_bytes(damage.encode("latin-1"))
    assert facts_of([spec], tmp_path) == facts
    assert len(asked) == 2
    assert f"{kept}: damaged" in caplog.text
    facts_of([spec], tmp_path)
    assert len(asked) == 2


def test_another_timm_is_asked_anew(asked, tmp_path, monkeypatch):
    facts_of([BackboneSpec(name="resnet18")], tmp_path)
    monkeypatch.setattr(probe, "version", lambda package: "0.0.1")
    facts_of([BackboneSpec(name="resnet18")], tmp_path)
    assert len(asked) == 2


def test_errors_are_told_and_not_kept(asked, tmp_path):
    specs = [BackboneSpec(name="resnet18", options={"depth": -1}), BackboneSpec(name="resnet34")]
    for _ in range(2):
        error, facts = facts_of(specs, tmp_path)
        assert str(error) == "backbone 'resnet18': no such thing"
        assert isinstance(error, BenchError)
        assert facts.image_size == 64  # one that fails keeps no other from its answer
    assert asked == [["resnet18", "resnet34"], ["resnet18"]]


def test_a_folder_that_cannot_be_written_costs_nothing_but_time(asked, tmp_path):
    (tmp_path / "timm").write_text("a file where the folder should be")
    for _ in range(2):
        assert facts_of([BackboneSpec(name="resnet18")], tmp_path)[0].image_size == 64
    assert len(asked) == 2


def test_what_timm_answers(tmp_path):
    """In this process."""
    questions = {
        "one": {"name": "resnet18.a1_in1k", "units": "coarse", "options": {}},
        "two": {"name": "vit_tiny_patch16_224", "units": "fine", "options": {"depth": 2}},
        "bad": {"name": "resnet18", "units": "coarse", "options": {"no_such": 1}},
    }
    answers = json.loads(json.dumps(probe._answers(questions)))  # as they are kept
    assert answers["one"] == {
        "unit_names": ["stem", "layer1", "layer2", "layer3", "layer4", "head"], "mean": [0.485, 0.456, 0.406],
        "std": [0.229, 0.224, 0.225], "image_size": 224, "is_size_fixed": False,
        "has_batchnorm": True, "has_hub_weights": True, "interpolation": "bicubic", "is_depthwise": False,
        "modality": "image", "takes": None,
    }
    assert answers["two"]["unit_names"] == ["stem", "blocks.0", "blocks.1", "head"]
    assert answers["bad"]["error"].startswith("cannot be built: ")
