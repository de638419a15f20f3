"""A further split of the same classes in other circumstances, `shift`: where it comes from, and that sets without one
are what they were."""

import dataclasses
import hashlib
import shutil

import numpy as np
import pytest

from bench.datasets import DATASETS, arrays, cache, folder, manifest, parse_options
from bench.datasets.base import Dataset, DatasetFacts, Split
from bench.datasets.files import DataError
from bench.datasets.folder import FolderOptions
from bench.datasets.overlap import Overlap, num_shift_in_train, overlap
from bench.planning.classes import chosen
from bench.suite.schema import ClassesSpec
from tests.datasets.pictured import class_folders
from tests.datasets.test_overlap import noise
from tests.datasets.test_tables_and_arrays import digits, keras, npz, table

TREES = ("ash", "beech", "cedar")
OPTIONS = parse_options(DATASETS["near"], {"train_per_class": 3, "test_per_class": 2})


def split_of(num, seed, classes=3):
    return Split.of_images(noise(num, seed=seed), np.arange(num) % classes)


@pytest.fixture
def trees():
    return Dataset(TREES, split_of(30, 1), split_of(12, 2), shift=split_of(9, 3))


def folders(root, *parts):
    for number, part in enumerate(parts):
        class_folders(root / part, per_class=10 if part == "train" else 4, start=100 * number)
    options = FolderOptions(path=str(root))
    return folder.facts(options), folder.load(options)


@pytest.mark.parametrize(("parts", "sizes"), [
    (("train", "test", "shift"), (20, 8, 8)), (("train", "val", "shift"), (20, 8, 8)),
    (("train", "val", "test", "shift"), (28, 8, 8)), (("train", "shift"), (16, 4, 8)),
])  # fmt: skip
def test_a_folder_beside_train(tmp_path, parts, sizes):
    facts, loaded = folders(tmp_path, *parts)
    assert (facts.num_train, facts.num_test, facts.num_shift) == sizes
    assert tuple(len(split.labels) for split in loaded.splits.values()) == sizes
    assert facts.shift_sizes == (4, 4)
    assert loaded.is_divided is (facts.division is not None) is (len(parts) == 2)
    shown = folder.load(FolderOptions(path=str(shutil.copytree(tmp_path / "shift", tmp_path / "alone"))))
    alone = {image.tobytes() for image in shown.pool.images}
    assert {image.tobytes() for image in loaded.shift.images} == alone
    assert (loaded.shift.images.mean((1, 2)).argmax(1) == loaded.shift.labels).all()


def test_a_set_that_is_divided_anew_never_takes_from_it(tmp_path):
    _, loaded = folders(tmp_path, "train", "shift")
    further = {image.tobytes() for image in loaded.shift.images}
    assert len(loaded.pool.labels) == 20
    for seed in (0, 1):
        rows = np.concatenate(loaded.divided(seed))
        assert sorted(rows) == list(range(20))
    assert further.isdisjoint(image.tobytes() for image in loaded.pool.images)


def test_a_further_split_lacks_no_class_and_has_no_other(tmp_path):
    for part in ("train", "test"):
        class_folders(tmp_path / part, start=50 * (part == "test"))
    class_folders(tmp_path / "shift", ("ant",), start=100)
    with pytest.raises(DataError, match="the shift split has no images of 'bee'; all splits need the same classes"):
        folder.facts(FolderOptions(path=str(tmp_path)))
    class_folders(tmp_path / "shift", ("bee", "cat"), start=100)
    with pytest.raises(DataError, match="the train split has no images of 'cat'"):
        folder.facts(FolderOptions(path=str(tmp_path)))


def test_a_damaged_picture_of_it_is_told(tmp_path):
    for part, start in (("train", 0), ("shift", 50)):
        class_folders(tmp_path / part, start=start)
    (tmp_path / "shift" / "ant" / "0.png").write_bytes(b"<html>")
    with pytest.raises(DataError, match="shift/ant/0.png: an HTML page, not a picture"):
        folder.load(FolderOptions(path=str(tmp_path)))


def test_a_table_that_says_so(tmp_path):
    class_folders(tmp_path / "pictures")
    rows = [f"pictures/{name}/{n}.png,{name},{('shift', 'test', 'train')[min(n // 2, 2)]}"
            for name in ("ant", "bee") for n in range(10)]  # fmt: skip
    options = table(tmp_path, rows, "path,label,split")
    facts, loaded = manifest.facts(options), manifest.load(options)
    assert (facts.num_train, facts.num_test, facts.num_shift) == (12, 4, 4)
    assert (loaded.shift.images.mean((1, 2)).argmax(1) == loaded.shift.labels).all()
    assert {image.tobytes() for image in loaded.shift.images}.isdisjoint(
        image.tobytes() for image in (*loaded.train.images, *loaded.test.images)
    )
    options = table(tmp_path, [row for row in rows if "test" not in row], "path,label,split")
    assert manifest.facts(options).division == ("split 10 / 2 by us, stratified, seed 0",)
    assert len(manifest.load(options).shift.labels) == 4


@pytest.mark.parametrize("names", [("x_shift", "y_shift"), ("shift_images", "shift_labels")])
def test_arrays_by_either_name(tmp_path, names):
    images, labels = noise(9, seed=5), np.arange(9) % 3
    own = keras()
    if names[0] == "shift_images":
        own = {{"x": f"{name[2:]}_images", "y": f"{name[2:]}_labels"}[name[0]]: array for name, array in own.items()}
    plain = arrays.facts(npz(tmp_path, **own))
    options = npz(tmp_path, **own, **dict(zip(names, (images, labels), strict=True)))
    facts, loaded = arrays.facts(options), arrays.load(options)
    assert (loaded.shift.images == images).all()
    assert (loaded.shift.labels == labels).all()
    assert (facts.num_shift, facts.shift_sizes, plain.num_shift) == (9, (3, 3, 3), 0)


def test_the_revision_says_that_arrays_once_passed_over_are_read(tmp_path):
    options = npz(tmp_path, **keras(), x_shift=digits(9)[0], y_shift=digits(9)[1])
    assert arrays.facts(options).revision.endswith("-shift")
    assert not arrays.facts(npz(tmp_path, **keras())).revision.endswith("-shift")


@pytest.mark.parametrize(("changes", "words"), [
    ({"y_shift": np.full(9, 7)}, "shift labels 7 stand for no training image"),
    ({"y_shift": np.arange(8) % 3}, "9 images with 8 labels"),
    ({"y_shift": np.zeros(9)}, "expected one whole number for each image"),
    ({"x_shift": np.zeros((9, 8), np.uint8)}, r"x_shift has the shape \(9, 8\)"),
])  # fmt: skip
def test_arrays_that_cannot_be_used(tmp_path, changes, words):
    given = {"x_shift": digits(9)[0], "y_shift": digits(9)[1], **changes}
    with pytest.raises(DataError, match=words):
        arrays.facts(npz(tmp_path, **keras(), **given))


def test_what_is_in_the_training_split_too_is_told(tmp_path):
    plain = keras()
    images = np.concatenate([plain["x_train"][:2], noise(7, seed=5)])
    facts = arrays.facts(npz(tmp_path, **plain, x_shift=images, y_shift=np.arange(9) % 3))
    assert facts.notes == ("2 of 9 shift images are training images too, pixel by pixel",)
    for part in ("train", "shift"):
        class_folders(tmp_path / part, per_class=10 if part == "train" else 3)
    division = folder.facts(FolderOptions(path=str(tmp_path))).division
    assert len(division) == 2
    assert "of 6 shift images are training images too, byte for byte" in division[1]


def test_a_split_of_the_hubs_library(tmp_path):
    hub = pytest.importorskip("datasets", reason="Hugging Face's library is an extra")
    from bench.datasets import huggingface
    from tests.datasets.test_huggingface import saved

    sizes = {"train": (8, 0), "shift": (3, 50)}
    divided = saved(tmp_path / "a", splits=sizes)
    brought = saved(tmp_path / "b", splits={**sizes, "test": (4, 100)})
    for options, num_test in ((divided, 3), (brought, 8)):
        facts, loaded = huggingface.facts(options), huggingface.load(options)
        assert (facts.num_shift, facts.shift_sizes, facts.num_test) == (6, (3, 3), num_test)
        assert facts.revision.endswith("-shift")
        assert loaded.is_divided is (num_test == 3)
        assert (loaded.shift.images.mean((1, 2)).argmax(1) == loaded.shift.labels).all()
        theirs = hub.load_from_disk(options.path)["shift"]
        assert loaded.shift.labels.tolist() == theirs["labels"]
        assert all(theirs[n]["image"].size == (20, 12) for n in range(6))
    as_test = huggingface.HubOptions(path=brought.path, test="shift")
    assert (huggingface.facts(as_test).num_test, huggingface.facts(as_test).num_shift) == (6, 0)
    assert huggingface.load(as_test).shift is None


def digest_by_hand(dataset, *splits):
    found = hashlib.sha256(repr(dataset.classes).encode())
    for split in splits:
        found.update(repr(split.images.shape).encode() + split.images.tobytes() + split.labels.tobytes())
    return found.hexdigest()


def test_it_is_in_the_digest_and_a_set_without_one_has_its_old_one(trees):
    assert trees.sha256 == digest_by_hand(trees, trees.train, trees.test, trees.shift)
    bare = dataclasses.replace(trees, shift=None)
    assert bare.sha256 == digest_by_hand(trees, trees.train, trees.test)


def put(monkeypatch, **changes):
    """`near` has a split `shift`."""
    near = DATASETS["near"]

    def load(options):
        whole = near.load(options)
        return dataclasses.replace(whole, shift=Split.of_images(255 - whole.test.images, whole.test.labels), **changes)

    monkeypatch.setitem(DATASETS, "near", dataclasses.replace(near, load=load))
    return load(OPTIONS)


@pytest.mark.parametrize("is_divided", [False, True])
def test_the_cache_keeps_it(tmp_path, monkeypatch, is_divided):
    cache.load("near", OPTIONS, tmp_path / "plain")
    (plain,) = (tmp_path / "plain").iterdir()
    assert {path.name for path in plain.iterdir()} == {
        "about.json", *(f"{split}_{part}.npy" for split in ("train", "test") for part in ("images", "labels", "prints"))
    }  # fmt: skip
    fresh = put(monkeypatch, is_divided=is_divided)
    for _ in range(2):
        kept = cache.load("near", OPTIONS, tmp_path / "further")
        assert isinstance(kept.shift.images, np.memmap)
        assert (kept.shift.images == fresh.shift.images).all()
        assert (kept.shift.labels == fresh.shift.labels).all()
        assert kept.is_divided is is_divided
        assert kept.sha256 == fresh.sha256
    assert len(kept.pool.labels) == len(fresh.train.labels) + len(fresh.test.labels)


@pytest.mark.parametrize("damage", [
    lambda entry: (entry / "shift_labels.npy").unlink(),
    lambda entry: (entry / "shift_prints.npy").unlink(),
    lambda entry: shutil.copy(entry / "test_prints.npy", entry / "shift_prints.npy"),
    lambda entry: shutil.copy(entry / "test_labels.npy", entry / "shift_images.npy"),
    lambda entry: shutil.copy(entry / "test_images.npy", entry / "shift_images.npy"),
], ids=["no labels", "no prints", "other prints", "other type", "other images"])  # fmt: skip
def test_a_damaged_one_is_told_and_built_anew(tmp_path, monkeypatch, damage):
    fresh, told = put(monkeypatch), []
    cache.load("near", OPTIONS, tmp_path)
    (entry,) = tmp_path.iterdir()
    damage(entry)
    assert cache.load("near", OPTIONS, tmp_path, tell=told.append).sha256 == fresh.sha256
    assert len(told) == 1
    assert "is damaged" in told[0]


def test_one_that_does_not_belong_there_is_damage(tmp_path):
    told = []
    cache.load("near", OPTIONS, tmp_path)
    (entry,) = tmp_path.iterdir()
    for part in ("images", "labels", "prints"):
        shutil.copy(entry / f"test_{part}.npy", entry / f"shift_{part}.npy")
    assert cache.load("near", OPTIONS, tmp_path, tell=told.append).shift is None
    assert len(told) == 1


def test_some_of_the_classes(trees):
    part = trees.of_classes((0, 2))
    rows = np.flatnonzero(trees.shift.labels != 1)
    assert (part.shift.images == trees.shift.images[rows]).all()
    assert part.shift.labels.tolist() == (trees.shift.labels[rows] // 2).tolist()
    lacking = dataclasses.replace(trees, shift=trees.shift.of_classes((1,)))
    assert lacking.of_classes((1, 2)).shift is None


def test_facts_of_some_of_the_classes():
    facts = DatasetFacts(3, 8, 30, 12, 10, "r", train_sizes=(10, 10, 10), test_sizes=(4, 4, 4), num_shift=9,
                         shift_sizes=(2, 3, 4), classes=TREES)  # fmt: skip
    part = facts.of_classes((0, 2))
    assert (part.num_shift, part.shift_sizes) == (6, (2, 4))
    assert dataclasses.replace(facts, num_shift=0, shift_sizes=()).of_classes((0, 2)).num_shift == 0
    half = ClassesSpec(half="A", split=1)
    assert len(chosen(half, "trees", DATASETS["near"], facts)) == 2
    with pytest.raises(ValueError, match="does not tell how many examples each class has"):
        chosen(half, "trees", DATASETS["near"], dataclasses.replace(facts, shift_sizes=()))


def test_what_a_pretraining_has_seen_of_it_is_told(trees):
    images = np.concatenate([trees.shift.images[:4], trees.test.images[:1], noise(20, seed=9)])
    source = Dataset(TREES, Split.of_images(images, np.arange(25) % 3), split_of(3, 8))
    found = overlap(source, trees)
    assert found == Overlap(1, 12, 0, 30, 4, 9)
    assert found.in_words("image") == "1 of 12 test images, 4 of 9 shift images and 0 of 30 training images"
    assert found.is_own
    assert not Overlap(0, 200, 0, 200, 2, 200).is_own
    assert Overlap(0, 200, 0, 200, 3, 200).is_own
    assert Overlap(0, 200, 0, 200, 1, 200)
    assert overlap(trees, source) == Overlap(0, 3, 0, 25), "what was only scored was not learned"


@pytest.mark.parametrize("seed", [None, 4])
def test_its_images_among_the_training_images_are_counted(trees, seed):
    twice = dataclasses.replace(trees, shift=trees.train)
    rows = range(30) if seed is None else twice.divided(seed)[0]
    own = {twice.pool.images[row].tobytes() for row in rows}
    expected = sum(image.tobytes() in own for image in twice.shift.images)
    assert num_shift_in_train(twice, seed) == expected > 0
    assert num_shift_in_train(dataclasses.replace(trees, shift=None), seed) == 0


def test_a_table_of_texts(tmp_path):
    texts = {"train": "short", "test": "a text", "shift": "a text that is longer than all of the others"}
    rows = [f"{texts[split]} {label} {n},{label},{split}" for split in texts for label in "ab" for n in range(3)]
    options = table(tmp_path, rows, "text,label,split")
    facts, loaded = manifest.facts(options), manifest.load(options)
    assert (facts.num_train, facts.num_test, facts.num_shift, facts.modality) == (6, 6, 6, "text")
    assert loaded.shift.modality == "text"
    assert bytes(loaded.shift.columns["text"][0]).rstrip(b"\0").decode() == f"{texts['shift']} a 0"
