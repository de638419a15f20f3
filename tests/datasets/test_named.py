"""Public sets by name: found where they lie, in the forms that people have them, before anything is downloaded."""

import dataclasses
import gzip
import struct

import numpy as np
import pytest

from bench import datasets
from bench.backbones.weights_file import file_sha256
from bench.datasets.base import PublicSize
from bench.datasets.labelled import PictureOptions
from bench.datasets.named import PUBLIC
from bench.datasets.torchvision_sets import LOADERS, REVISION
from bench.errors import BenchError, Missing
from bench.keys import digest
from tests.datasets.pictured import class_folders, picture

OPTIONS = PictureOptions()


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    return tmp_path


def opened(name, options=OPTIONS):
    entry = datasets.find(name)
    return entry.facts(options), entry.load(options)


def arrays_for(path, num=30):
    draw = np.random.default_rng(num)
    images, labels = draw.integers(0, 256, (num, 32, 32, 3), np.uint8), np.arange(num) % 10
    np.savez(path, x_train=images, y_train=labels, x_test=images[::-1][:10], y_test=labels[::-1][:10])
    return images


def test_every_public_set_has_a_loader_of_torchvision():
    from torchvision import datasets as sets

    assert {one.name for one in PUBLIC} == set(LOADERS)
    assert all(hasattr(sets, loader.cls) for loader in LOADERS.values())


def test_what_is_not_here_says_how_large_it_is_and_where_it_would_be_found(shelf):
    with pytest.raises(Missing) as missing:
        datasets.find("cifar100").facts(OPTIONS)
    assert (missing.value.what, missing.value.megabytes, missing.value.can_fetch) == ("dataset cifar100", 161, True)
    assert "put cifar100.npz or a folder cifar100/ with a folder per class into a folder of BENCH_DATA" in str(
        missing.value
    )
    with pytest.raises(Missing) as missing:
        datasets.find("cars").facts(OPTIONS)
    assert not missing.value.can_fetch  # its publisher took it down


def test_an_npz_of_its_name(shelf):
    images = arrays_for(shelf / "cifar10.npz")
    facts, loaded = opened("cifar10")
    assert (facts.num_train, facts.num_test, facts.num_classes) == (30, 10, 10)
    assert (loaded.train.images == images).all()
    unlike, twice = facts.notes
    assert unlike == "not cifar10 as it was published: 30 of 50,000 training images, 10 of 10,000 test images"
    assert "10 of 10 test images are training images too" in twice
    with pytest.raises(datasets.DataError, match="cifar10.npz is taken as it is: it has no use for the options"):
        opened("cifar10", PictureOptions(side=64))


def test_a_set_of_the_public_size_says_nothing():
    size = PublicSize(10, 50_000, 10_000)
    assert size.difference(10, 50_000, 10_000) == ""
    assert size.difference(10, 25_000, 10_000) == "25,000 of 50,000 training images"
    assert size.difference(9, 60_000, 9_000) == (
        "9 of 10 classes, 60,000 training images instead of 50,000, 9,000 of 10,000 test images"
    )
    assert PublicSize(10, 27_000).difference(10, 21_600, 5_400) == ""
    assert PublicSize(10, 27_000).difference(10, 20_000, 5_400) == "25,400 of 27,000 images"


def test_the_sizes_are_those_that_torchvision_and_the_publishers_give():
    """By hand, from torchvision's documentation and the papers: validation splits count as training images."""
    sizes = {one.name: (one.size.num_classes, one.size.num_train, one.size.num_test) for one in PUBLIC}
    assert sizes["cifar100"] == (100, 50_000, 10_000)
    assert sizes["svhn"] == (10, 73_257, 26_032)
    assert sizes["flowers102"] == (102, 1_020 + 1_020, 6_149)
    assert sizes["dtd"] == (47, 2 * 40 * 47, 40 * 47)
    assert sizes["food101"] == (101, 750 * 101, 250 * 101)
    assert sizes["aircraft"] == (100, 3_334 + 3_333, 3_333)
    assert sizes["pcam"] == (2, 2**18 + 2**15, 2**15)
    assert sizes["caltech101"] == (101, 9_144 - 467, None)
    assert sizes["clevr_count"] == (8, 70_000, 15_000)


def test_a_folder_of_its_name_and_the_first_place_wins(shelf, tmp_path, monkeypatch):
    class_folders(shelf / "pets" / "train", per_class=6)
    class_folders(shelf / "pets" / "test", per_class=4, start=50)
    facts, loaded = opened("pets")
    assert (facts.num_train, facts.num_test, facts.metric) == (12, 8, "mean_per_class")
    other = tmp_path / "other"
    class_folders(other / "pets", ("ant", "bee", "cat"))
    monkeypatch.setenv("BENCH_DATA", f"{other}:{shelf}")
    assert opened("pets")[0].num_classes == 3


def write_idx(path, array):
    path.parent.mkdir(parents=True, exist_ok=True)
    kind = 8  # unsigned bytes
    path.write_bytes(struct.pack(">HBB", 0, kind, array.ndim) + struct.pack(f">{array.ndim}I", *array.shape)
                     + array.astype(np.uint8).tobytes())


def fashion(root):
    raw = root / "FashionMNIST" / "raw"
    draw = np.random.default_rng(0)
    for part, num in (("train", 40), ("t10k", 20)):
        images = draw.integers(0, 256, (num, 28, 28))
        for name, array in ((f"{part}-images-idx3-ubyte", images), (f"{part}-labels-idx1-ubyte", np.arange(num) % 10)):
            write_idx(raw / name, array)
            (raw / f"{name}.gz").write_bytes(gzip.compress(b""))
    return draw


@pytest.mark.parametrize("below", ["", "fashion_mnist"])
def test_torchvisions_layout_beside_others_or_in_a_folder_of_the_sets_name(shelf, below):
    fashion(shelf / below)
    facts, loaded = opened("fashion_mnist")
    assert (facts.num_classes, facts.num_train, facts.num_test, facts.image_size) == (10, 40, 20, 28)
    assert facts.smallest_class == 4
    assert loaded.train.images.shape == (40, 28, 28, 3)
    assert loaded.classes[0] == "T-shirt/top"
    assert (loaded.test.labels == np.arange(20) % 10).all()


def test_options_of_clips_are_refused(shelf):
    fashion(shelf)
    with pytest.raises(BenchError, match="fashion_mnist: the option `seconds` is for clips, and these are pictures"):
        opened("fashion_mnist", PictureOptions(seconds=1.0))


def test_options_that_came_later_leave_revisions_of_torchvisions_layout_as_they_were(shelf):
    fashion(shelf)
    files = sorted((shelf / "FashionMNIST").rglob("*ubyte*"))
    content = [[path.relative_to(shelf).as_posix(), file_sha256(path)] for path in files]
    options = {"side": None, "fit": "crop", "test_share": 0.2, "split_seed": 0}
    known = [REVISION, "fashion_mnist", dataclasses.asdict(LOADERS["fashion_mnist"]), content, options]
    assert opened("fashion_mnist")[0].revision == f"torchvision-{digest(known)}"


def test_a_set_without_a_test_split_is_divided_and_says_so(shelf):
    names = ("ant", "bee", "cat")
    class_folders(shelf / "eurosat" / "2750", names)
    facts, loaded = opened("eurosat", PictureOptions(side=16))
    assert (facts.num_train, facts.num_test) == (24, 6) == (len(loaded.train.labels), len(loaded.test.labels))
    assert facts.notes == ("not eurosat as it was published: 3 of 10 classes, 30 of 27,000 images",)
    assert facts.division == ("split 24 / 6 by us, stratified, seed 0",)
    assert (facts.train_sizes, facts.test_sizes, loaded.is_divided) == ((8, 8, 8), (2, 2, 2), True)
    assert loaded.classes == names
    assert (loaded.test.images.mean((1, 2)).argmax(1) == loaded.test.labels).all()
    assert opened("eurosat", PictureOptions(side=16, split_seed=3))[0].revision != facts.revision


def textures(root):
    base = root / "dtd" / "dtd"
    (base / "labels").mkdir(parents=True)
    lists = {"train": [], "val": [], "test": []}
    for name, colour in (("banded", (200, 0, 0)), ("woven", (0, 0, 200))):
        (base / "images" / name).mkdir(parents=True)
        for n in range(6):
            picture(colour, (30, 20), n).save(base / "images" / name / f"{name}_{n}.jpg")
            lists[("train", "val", "test")[n % 3]].append(f"{name}/{name}_{n}.jpg")
    for split, rows in lists.items():
        (base / "labels" / f"{split}1.txt").write_text("\n".join(rows) + "\n")


def test_a_validation_split_is_more_labels(shelf):
    textures(shelf)
    facts, loaded = opened("dtd", PictureOptions(side=16))
    assert (facts.num_train, facts.num_test, facts.smallest_class) == (8, 4, 4)
    assert facts.notes == (
        "not dtd as it was published: 2 of 47 classes, 8 of 3,760 training images, 4 of 1,880 test images",
        "its validation split was added to the training images",
    )
    assert loaded.classes == ("banded", "woven")


def test_a_layout_that_torchvision_refuses_is_said(shelf):
    (shelf / "dtd" / "dtd").mkdir(parents=True)
    with pytest.raises(BenchError, match="reading dtd in .* failed: "):
        datasets.find("dtd").facts(OPTIONS)
