"""A person's own folder of pictures: what is taken, what is split, what is refused and in which words."""

import os
import shutil

import numpy as np
import pytest

from bench import datasets
from bench.datasets import folder, kinds
from bench.datasets.files import DataError
from bench.datasets.folder import FolderOptions
from tests.datasets.pictured import class_folders, picture


def opened(root, **options):
    made = FolderOptions(path=str(root), **options)
    return folder.facts(made), folder.load(made)


def test_one_split_is_divided_class_by_class(tmp_path):
    facts, loaded = opened(class_folders(tmp_path / "pets", ("ant", "bee", "cat"), 10))
    assert (facts.num_classes, facts.num_train, facts.num_test, facts.smallest_class) == (3, 24, 6, 8)
    assert facts.image_size == 12
    assert loaded.classes == ("ant", "bee", "cat")
    assert np.bincount(loaded.test.labels).tolist() == [2, 2, 2]
    assert loaded.train.images.shape == (24, 12, 12, 3)
    brightest = loaded.train.images.mean((1, 2)).argmax(1)
    assert (brightest == loaded.train.labels).all()
    assert facts.division == ("split 24 / 6 by us, stratified, seed 0",)
    assert (facts.train_sizes, facts.test_sizes) == ((8, 8, 8), (2, 2, 2))
    assert loaded.is_divided


def test_the_split_depends_on_its_seed_and_share(tmp_path):
    root = class_folders(tmp_path / "pets")
    revisions = [opened(root, **options)[0].revision for options in ({}, {"split_seed": 1}, {"test_share": 0.3})]
    assert len(set(revisions)) == 3
    assert opened(root, test_share=0.3)[0].num_test == 6


@pytest.mark.parametrize(
    ("parts", "sizes", "note"),
    [(("train", "test"), (20, 8), None), (("train", "val"), (20, 8), None),
     (("train", "val", "test"), (28, 8), "`val` was added to the training images"), (("train",), (16, 4), None)],
    ids=lambda one: "+".join(map(str, one)) if isinstance(one, tuple) else "",
)  # fmt: skip
def test_splits_that_are_there_are_used(tmp_path, parts, sizes, note):
    for number, part in enumerate(parts):
        class_folders(tmp_path / part, per_class=10 if part == "train" else 4, start=100 * number)
    facts, loaded = opened(tmp_path)
    assert (facts.num_train, facts.num_test) == (len(loaded.train.labels), len(loaded.test.labels)) == sizes
    assert any(note in one for one in facts.notes) if note else facts.notes == ()
    assert (facts.division is not None) is loaded.is_divided is (parts == ("train",))


def test_what_systems_leave_behind_is_no_class(tmp_path):
    root = class_folders(tmp_path / "pets")
    for name in (".ipynb_checkpoints", "__MACOSX"):
        (root / name).mkdir()
        picture((0, 0, 0)).save(root / name / "x.png")
    (root / ".DS_Store").write_bytes(b"x")
    (root / "ant" / "notes.txt").write_text("x")
    facts, loaded = opened(root)
    assert loaded.classes == ("ant", "bee")
    assert "files that are no pictures, passed over: 1" in facts.notes


def test_pictures_in_folders_below_a_class_belong_to_it(tmp_path):
    root = class_folders(tmp_path / "pets")
    class_folders(root / "ant", ("cat",), 4, start=50)
    facts, loaded = opened(root)
    assert loaded.classes == ("ant", "bee")
    assert facts.num_train + facts.num_test == 24


def test_test_images_that_are_training_images_are_counted(tmp_path):
    class_folders(tmp_path / "train", per_class=6)
    class_folders(tmp_path / "test", per_class=6, start=500)
    shutil.copy(tmp_path / "train/ant/0.png", tmp_path / "test/bee/again.png")
    assert "1 of 13 test images are training images too, byte for byte" in opened(tmp_path)[0].notes


def test_another_pixel_is_another_dataset_and_another_place_is_not(tmp_path):
    root = class_folders(tmp_path / "pets")
    first = opened(root)[0].revision
    assert opened(shutil.copytree(root, tmp_path / "copy"))[0].revision == first
    picture((90, 90, 90), seed=99).save(root / "ant" / "0.png")
    assert opened(root)[0].revision != first


def test_a_change_that_keeps_size_is_seen_by_its_time(tmp_path):
    root = class_folders(tmp_path / "pets")
    first = opened(root)[0].revision
    path = root / "ant" / "0.png"
    data = bytearray(path.read_bytes())
    data[-5] ^= 1  # in the last chunk's checksum: still the same length
    path.write_bytes(data)
    os.utime(path, ns=(1, 1))
    assert folder.facts(FolderOptions(path=str(root))).revision != first


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: None, "no such folder"),
        (lambda root: root.mkdir(), "no pictures in folders named after classes"),
        (lambda root: class_folders(root, ("ant",)), "1 class of images"),
        (lambda root: (class_folders(root), (root / "cow").mkdir()), "no images of 'cow'"),
        (lambda root: (class_folders(root / "train"), class_folders(root / "test", ("ant", "cat"))),
         "the train split has no images of 'cat'"),
        (lambda root: class_folders(root / "test"), "a test split and no `train` beside it"),
        (lambda root: (class_folders(root), (root / "bee/bad.png").write_bytes(b"<html>")), "bad.png: an HTML page"),
    ],
    ids=["absent", "empty", "one class", "empty class", "class sets differ", "no train", "damaged"],
)  # fmt: skip
def test_what_cannot_be_used_is_said(tmp_path, make, words):
    make(tmp_path / "pets")
    with pytest.raises(DataError, match=words):
        opened(tmp_path / "pets")


def test_a_name_that_is_no_text(tmp_path):
    root = class_folders(tmp_path / "pets")
    (root / "ant/0.png").rename(root / "ant" / os.fsdecode(b"\xff\xfe.png"))
    facts, loaded = opened(root)
    assert facts.num_train + facts.num_test == 20
    assert datasets.split_name(f"folder:{root}") == ("folder", {"path": str(root)})


def test_the_side_is_the_median_and_256_at_most(tmp_path):
    root = class_folders(tmp_path / "pets", per_class=3)
    assert opened(root, side=16)[1].train.images.shape[1:] == (16, 16, 3)
    for number in range(8):
        picture((1, 1, 1), (400, 300), number).save(root / "ant" / f"large{number}.jpg")
    assert folder.facts(FolderOptions(path=str(root))).image_size == kinds.LARGEST_SIDE


def test_classes_named_like_splits_are_classes(tmp_path):
    root = class_folders(tmp_path / "papers", ("ant", "bee"), 5)
    (root / "ant").rename(root / "valid")
    (root / "bee").rename(root / "invalid")
    assert opened(root)[1].classes == ("invalid", "valid")
