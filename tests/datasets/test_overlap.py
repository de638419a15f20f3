"""Images that two sets have in common are found by what they show, whatever they are called; and counted exactly."""

import shutil
import time

import numpy as np
import pytest
from PIL import Image

from bench import datasets
from bench.datasets.base import Dataset, Split, print_of
from bench.datasets.overlap import Overlap, num_in_two_classes, num_test_in_train, overlap, worst
from tests.datasets.pictured import class_folders, picture


def noise(num, side=8, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (num, side, side, 3), np.uint8)


def dataset(train, test):
    return Dataset(("a", "b"), *(Split.of_images(images, np.arange(len(images)) % 2) for images in (train, test)))


def opened(name, **options):
    entry = datasets.find(name)
    return entry.load(entry.options.model_validate(options))


def test_counts_are_those_of_sets_of_bytes():
    pool = noise(300)
    draw = np.random.default_rng(1)
    source, target = (dataset(pool[draw.integers(0, 300, 120)], pool[draw.integers(0, 300, 80)]) for _ in range(2))
    learned = {image.tobytes() for image in source.train.images}
    expected = [sum(image.tobytes() in learned for image in split.images) for split in (target.test, target.train)]
    assert min(expected) > 0
    assert overlap(source, target) == Overlap(expected[0], 80, expected[1], 120)
    own = {image.tobytes() for image in target.train.images}
    assert num_test_in_train(target) == sum(image.tobytes() in own for image in target.test.images)


def test_equals_with_two_labels_are_counted_over_both_splits():
    images = noise(20)  # those at even places are of the first class, in both splits
    assert num_in_two_classes(dataset(images[:10], images[10:])) == 0
    assert num_in_two_classes(dataset(images[[0, 1, 2, 0]], images[[0, 5, 0]])) == 4


def test_counts_follow_how_the_target_is_divided():
    images = noise(60)
    source, target = dataset(images[:30], noise(10, seed=1)), dataset(images[:40], images[40:])
    twice = dataset(np.concatenate([images[:40], images[:20]]), images[40:])
    for split in range(3):
        train, test = target.divided(split)
        assert overlap(source, target, split) == Overlap(int((test < 30).sum()), 20, int((train < 30).sum()), 40)
        train, test = (twice.pool.images[rows] for rows in twice.divided(split))
        own = {image.tobytes() for image in train}
        assert num_test_in_train(twice, split) == sum(image.tobytes() in own for image in test) > 0
    assert worst([Overlap(1, 20, 9, 40), Overlap(2, 20, 0, 40)]).test == 2


def test_what_was_only_tested_on_was_not_learned():
    images = noise(40)
    source, target = dataset(images[:10], images[10:20]), dataset(images[20:30], images[10:20])
    assert not overlap(source, target)
    assert overlap(target, source) == Overlap(0, 10, 0, 10)


@pytest.mark.parametrize(("test", "train", "is_own"), [(100, 0, False), (101, 0, True), (0, 10, False), (0, 11, True)])
def test_more_than_one_percent_of_either_split_is_the_target_s_own(test, train, is_own):
    assert Overlap(test, 10_000, train, 1_000).is_own is is_own


def test_one_pixel_and_a_turn_make_another_image():
    image = noise(1)
    other = image.copy()
    other[0, 3, 3, 1] ^= 1
    wide = np.zeros((1, 4, 9, 3), np.uint8)
    prints = [print_of(one[0]) for one in (image, other, image[:, ::-1], wide, wide.transpose(0, 2, 1, 3))]
    assert len(set(prints)) == 5
    assert prints[0] == print_of(image.copy()[0])


def test_a_folder_under_other_names_at_another_size(tmp_path):
    """The source's training images hold the target's test images: other files' names, classes and stored sides."""
    target = class_folders(tmp_path / "target" / "train", per_class=10)
    class_folders(tmp_path / "target" / "test", per_class=5, start=100)
    class_folders(tmp_path / "source", ("ant", "cat"), 20, start=300)
    for number, path in enumerate(sorted((tmp_path / "target" / "test").rglob("*.png"))):
        shutil.copy(path, tmp_path / "source" / "cat" / f"renamed-{number}.png")
    (tmp_path / "source").rename(tmp_path / "holiday")
    seen = opened("folder", path=str(tmp_path / "holiday"), side=24, test_share=0.01)
    asked = opened("folder", path=str(target.parent), side=16)
    expected = {path.read_bytes() for path in (tmp_path / "target" / "test").rglob("*.png")}
    assert seen.train.images.shape[1] != asked.test.images.shape[1]
    found = overlap(seen, asked)
    assert (found.num_test, found.train) == (10, 0)
    assert found.test >= len(expected) - 2  # but for those that the source set aside
    assert overlap(opened("folder", path=str(tmp_path / "holiday"), side=24), asked).is_own


def test_jpegs_are_known_by_their_files_since_they_are_decoded_at_many_sizes(tmp_path):
    for place in ("a", "b"):
        for label in ("ant", "bee"):
            (tmp_path / place / label).mkdir(parents=True)
            for number in range(5):
                file = tmp_path / place / label / f"{place}{number}.jpg"
                if place == "a":
                    picture((90, 90, 90), (400, 300), number + 10 * (label == "bee")).save(file)
                else:
                    shutil.copy(tmp_path / "a" / label / f"a{number}.jpg", file)
    one, other = (opened("folder", path=str(tmp_path / place), side=side) for place, side in (("a", 16), ("b", 200)))
    found = overlap(one, other)
    assert found.test + found.train == len(one.train.labels)


def test_pictures_and_arrays_of_the_same_pixels(tmp_path):
    """A set as picture files, and the same as numpy arrays."""
    images = noise(24, 12)
    for number, image in enumerate(images):
        place = tmp_path / "pictures" / ("train" if number < 16 else "test") / ("a" if number % 2 else "b")
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(place / f"{number}.png")
    np.savez(tmp_path / "arrays.npz", x_train=images[8:], y_train=np.arange(16) % 2, x_test=images[:8],
             y_test=np.arange(8) % 2)  # fmt: skip
    arrays = opened("npz", path=str(tmp_path / "arrays.npz"))
    for side in (12, 20):
        pictures = opened("folder", path=str(tmp_path / "pictures"), side=side)
        assert overlap(pictures, arrays) == Overlap(8, 8, 8, 16)
        assert overlap(arrays, pictures) == Overlap(8, 8, 8, 16)


def test_a_subset_of_a_set_and_another_seed_of_it():
    """Embedded worlds: more images extend a set; other seeds draw others; digits has but one pool of scans."""
    small, large = (opened("near", train_per_class=num, test_per_class=2) for num in (3, 5))
    assert overlap(large, small) == Overlap(0, 20, 30, 30)
    assert not overlap(opened("near", train_per_class=5, test_per_class=2, seed=1), small)
    assert overlap(opened("digits", seed=1), opened("digits")).is_own


def test_sixty_thousand_small_images_take_a_second_or_two():
    images = noise(6_000, 32)
    begin = time.process_time()
    [print_of(image) for image in images]
    assert 10 * (time.process_time() - begin) < 4
