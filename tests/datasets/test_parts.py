"""A part of a data set: its examples, labels, names and prints are those of the whole, and nothing else is in it."""

import numpy as np
import pytest

from bench.datasets import DATASETS, find, parse_options
from bench.datasets.base import Dataset, Split, print_of

NAMES = ("ash", "beech", "cedar", "elm")


@pytest.fixture
def trees():
    draw = np.random.default_rng(0)

    def split(num):
        labels = draw.integers(0, 4, num)
        wholes = draw.integers(0, 1 << 60, num).astype(np.uint64)
        return Split.of_images(draw.integers(0, 255, (num, 4, 4, 3), np.uint8), labels.astype(np.int64), wholes)

    return Dataset(NAMES, split(60), split(30), is_divided=True)


def test_a_part_holds_those_classes_and_no_others(trees):
    part = trees.of_classes((1, 3))
    assert part.classes == ("beech", "elm")
    for own, whole in ((part.train, trees.train), (part.test, trees.test)):
        rows = [row for row, label in enumerate(whole.labels) if label in (1, 3)]
        assert own.labels.tolist() == [{1: 0, 3: 1}[int(whole.labels[row])] for row in rows]
        assert np.array_equal(own.images, whole.images[rows])
        assert np.array_equal(own.prints, whole.prints[rows])
        assert [print_of(image) for image in own.images] == own.prints[:, 0].tolist()
    assert trees.of_classes(None) is trees
    assert part.sha256 != trees.of_classes((0, 3)).sha256


def test_a_part_can_be_divided_anew(trees):
    part = trees.of_classes((0, 2))
    train, test = part.divided(5)
    assert sorted([*train, *test]) == list(range(len(part.pool.labels)))
    assert np.array_equal(np.bincount(part.pool.labels[test]), np.bincount(part.test.labels))


@pytest.mark.parametrize("name", [name for name, entry in DATASETS.items() if not entry.is_read])
def test_embedded_sets_tell_the_classes_that_they_have(name):
    entry = find(name)
    small = {"train_per_class": 2} | ({"test_per_class": 1} if name != "digits" else {})
    options = parse_options(entry, small)
    facts, loaded = entry.facts(options), entry.load(options)
    assert facts.classes == loaded.classes
    assert facts.train_sizes == tuple(np.bincount(loaded.train.labels))
    assert facts.test_sizes == tuple(np.bincount(loaded.test.labels))
    for names in entry.groups.values():
        assert set(names) <= set(facts.classes)
