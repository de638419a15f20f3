"""Sets of the Hugging Face hub: as its library keeps them, opened as they were hashed."""

import io
import json
import shutil

import numpy as np
import pytest

from bench import datasets
from bench.datasets import huggingface
from bench.datasets.huggingface import HubOptions
from bench.errors import BenchError, Missing
from tests.datasets.pictured import COLOURS, picture

hub = pytest.importorskip("datasets", reason="Hugging Face's library is an extra")
SPLITS = {"train": (8, 0), "validation": (3, 50), "test": (4, 100)}


def cells(num, start, label=None):
    out = {"image": [], "labels": []}
    for number, name in enumerate(("ant", "bee")):
        for one in range(num):
            packed = io.BytesIO()
            picture(COLOURS[name], seed=start + one).save(packed, "png")
            out["image"].append({"bytes": packed.getvalue(), "path": None})
            out["labels"].append(number if label is None else label)
    return out


def made(splits=None, features=None, **changed):
    features = features or hub.Features({"image": hub.Image(), "labels": hub.ClassLabel(names=["ant", "bee"])})
    every = {name: cells(*how) for name, how in (SPLITS if splits is None else splits).items()}
    every.update(changed)
    return hub.DatasetDict({name: hub.Dataset.from_dict(rows, features=features) for name, rows in every.items()})


def saved(folder, **how):
    made(**how).save_to_disk(str(folder))
    return HubOptions(path=str(folder))


def in_hub_cache(home, name="me___beans", configuration="default", **how):
    """As `load_dataset` leaves it."""
    folder = home / name / configuration / "0.0.0" / "abc"
    folder.mkdir(parents=True)
    every = made(**how)
    stem = name.rpartition("___")[2]
    for split, part in every.items():
        part.save_to_disk(str(folder / "once"))
        shutil.move(folder / "once" / "data-00000-of-00001.arrow", folder / f"{stem}-{split}.arrow")
        shutil.rmtree(folder / "once")
    sizes = {split: {"name": split, "num_examples": part.num_rows} for split, part in every.items()}
    about = {"builder_name": "parquet", "dataset_name": stem, "config_name": configuration, "splits": sizes,
             "version": {"version_str": "0.0.0", "major": 0, "minor": 0, "patch": 0},
             "features": part.features.to_dict()}
    (folder / "dataset_info.json").write_text(json.dumps(about))
    return folder


@pytest.fixture(autouse=True)
def hub_home(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "hub"


def test_a_set_in_the_hubs_cache_is_read_with_its_splits(hub_home):
    in_hub_cache(hub_home)
    options = HubOptions(path="me/beans")
    facts, loaded = huggingface.facts(options), huggingface.load(options)
    assert (facts.num_classes, facts.num_train, facts.num_test, facts.smallest_class) == (2, 22, 8, 11)
    assert facts.image_size == 12
    assert facts.notes == ("its validation split was added to the training images",)
    assert loaded.classes == ("ant", "bee")
    assert (loaded.train.images.mean((1, 2)).argmax(1) == loaded.train.labels).all()
    assert loaded.test.images.shape == (8, 12, 12, 3)


def test_the_library_itself_opens_the_same_rows(hub_home, monkeypatch):
    in_hub_cache(hub_home)
    ours = huggingface.load(HubOptions(path="me/beans"))
    monkeypatch.setattr(hub.config, "HF_DATASETS_CACHE", hub_home)
    monkeypatch.setattr(hub.config, "HF_HUB_OFFLINE", True)
    theirs = hub.load_dataset("me/beans", cache_dir=str(hub_home))
    assert (np.array(theirs["test"]["labels"]) == ours.test.labels).all()
    assert theirs["train"].num_rows + theirs["validation"].num_rows == len(ours.train.labels)


def test_a_saved_folder_and_the_same_content_elsewhere_are_one_set(tmp_path):
    first = huggingface.facts(saved(tmp_path / "a"))
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert huggingface.facts(HubOptions(path=str(tmp_path / "b"))) == first
    other = huggingface.facts(saved(tmp_path / "c", splits={**SPLITS, "train": (8, 1)}))
    assert other.revision != first.revision


def test_splits_can_be_named_and_one_split_is_divided(tmp_path):
    options = saved(tmp_path / "a")
    chosen = HubOptions(path=options.path, train="train", test="validation")
    assert (huggingface.facts(chosen).num_train, huggingface.facts(chosen).num_test) == (16, 6)
    alone = saved(tmp_path / "b", splits={"train": (10, 0)})
    facts = huggingface.facts(alone)
    assert (facts.num_train, facts.num_test) == (16, 4)
    assert (facts.notes, facts.division) == ((), ("split 16 / 4 by us, stratified, seed 0",))
    assert (facts.train_sizes, facts.test_sizes) == ((8, 8), (2, 2))
    assert len(huggingface.load(alone).test.labels) == 4
    assert huggingface.load(alone).is_divided
    assert huggingface.facts(chosen).division is None


def test_images_of_both_splits_are_counted(tmp_path):
    facts = huggingface.facts(saved(tmp_path / "a", splits={"train": (8, 0), "test": (4, 6)}))
    assert facts.notes == ("4 of 8 test images are training images too, byte for byte",)


def test_text_labels_are_classes_when_the_column_is_named(tmp_path):
    rows = cells(4, 0)
    rows["kind"] = ["bee" if label else "ant" for label in rows.pop("labels")]
    features = hub.Features({"image": hub.Image(), "kind": hub.Value("string")})
    options = saved(tmp_path / "a", splits={}, features=features, train=rows, test=rows)
    with pytest.raises(BenchError, match=r"which column is the label\?.*all columns: image, kind"):
        huggingface.facts(options)
    named = HubOptions(path=options.path, label="kind")
    assert huggingface.load(named).classes == ("ant", "bee")


WRONG = {
    "no such split": (dict(), dict(test="tets"), "no split 'tets'; found train, validation, test"),
    "no such column": (dict(), dict(image="img"), "no column 'img'; found image, labels"),
    "the same split twice": (dict(), dict(test="train"), "'train' cannot be trained and tested on"),
    "no training split": (dict(splits={"a": (2, 0), "b": (2, 9)}), {}, "no split `train`; found a, b"),
    "test images without labels": (dict(test=cells(2, 9, label=-1)), {}, r"labels outside the classes.*\(-1\)"),
    "a class without images": (dict(splits={"test": (2, 9)}, train=cells(2, 0, label=0)), {}, "'bee' has no training"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_used_is_said(name, tmp_path):
    how, options, message = WRONG[name]
    path = saved(tmp_path / "a", **how).path
    with pytest.raises(BenchError, match=message):
        huggingface.facts(HubOptions(path=path, **options))


def test_damaged_pictures_are_named_by_their_rows(tmp_path):
    rows = cells(4, 0)
    rows["image"][2]["bytes"] = rows["image"][2]["bytes"][:60]
    rows["image"][5]["bytes"] = b"<html>gone</html>"
    options = saved(tmp_path / "a", splits={"test": (2, 9)}, train=rows)
    with pytest.raises(BenchError, match=r"picture 5: an HTML page"):
        huggingface.load(HubOptions(path=options.path, side=16))


def test_several_configurations_ask_for_a_name(hub_home):
    in_hub_cache(hub_home, configuration="small")
    in_hub_cache(hub_home, configuration="large", splits={"train": (6, 0), "test": (2, 30)})
    with pytest.raises(BenchError, match="several configurations: large, small.*`hf:me/beans@large`"):
        huggingface.facts(HubOptions(path="me/beans"))
    assert huggingface.facts(HubOptions(path="me/beans@large")).num_train == 12


def test_what_is_not_here_can_be_fetched(hub_home):
    with pytest.raises(Missing, match="dataset hf:me/nothing is not on this machine") as caught:
        huggingface.facts(HubOptions(path="me/nothing"))
    assert caught.value.can_fetch
    assert (caught.value.kind, caught.value.name) == ("dataset", "hf:me/nothing")


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(BenchError, match="no Arrow files"):
        huggingface.facts(HubOptions(path=str(tmp_path / "photos")))


def test_fetching_asks_the_library(monkeypatch):
    asked = []
    monkeypatch.setattr(hub, "load_dataset", lambda *what: asked.append(what))
    huggingface.fetch("me/beans@small")
    huggingface.fetch("beans")
    assert asked == [("me/beans", "small"), ("beans", None)]


def test_timms_names_are_taken_for_what_they_mean():
    assert datasets.split_name("timm:torch/cifar10") == ("cifar10", {})
    assert datasets.split_name("timm:hfds/me/beans") == ("hf", {"path": "me/beans"})
    assert datasets.short_name("timm:torch/cifar10") == "cifar10"
    assert datasets.short_name("hf:me/beans@small") == "beans@small"
    with pytest.raises(BenchError, match="torch/ and hfds/ are known here"):
        datasets.find(datasets.split_name("timm:tfds/beans")[0])
