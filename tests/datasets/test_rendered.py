"""The promises of the rendered worlds: the same everywhere, extended not changed, and no way round the task."""

from dataclasses import fields, replace

import numpy as np
import pytest

from bench.datasets.rendered import DRAW, RENDERED, WORLDS
from bench.datasets.worlds import hues
from bench.datasets.worlds.paint import paint
from bench.datasets.worlds.streams import Streams
from bench.datasets.worlds.style import SOURCE, Style, style_at

NAMES = list(RENDERED)


def load(name, **options):
    entry = RENDERED[name]
    return entry.load(entry.options(**options))


@pytest.fixture(scope="module")
def small():
    return {name: load(name, train_per_class=34, test_per_class=20) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_facts_agree_with_what_is_loaded(name, small):
    entry = RENDERED[name]
    facts = entry.facts(entry.options(train_per_class=34, test_per_class=20))
    dataset = small[name]
    assert facts.num_classes == len(dataset.classes) == len(set(dataset.classes))
    assert dataset.train.images.shape == (facts.num_train, facts.image_size, facts.image_size, 3)
    assert dataset.test.images.shape == (facts.num_test, facts.image_size, facts.image_size, 3)
    assert (np.bincount(dataset.train.labels) == facts.smallest_class).all()
    assert dataset.train.images.flags.c_contiguous


@pytest.mark.parametrize("name", NAMES)
def test_images_use_the_range_without_drowning_in_black_or_white(name, small):
    images = small[name].train.images
    assert images.dtype == np.uint8
    assert 110 < images.mean() < 145
    assert images.std() > 50
    assert ((images == 0) | (images == 255)).mean() < 0.3


@pytest.mark.parametrize("name", NAMES)
def test_the_same_options_give_the_same_pixels(name):
    first, again, other = (load(name, train_per_class=3, test_per_class=2, seed=seed) for seed in (0, 0, 1))
    assert first.sha256 == again.sha256 != other.sha256


@pytest.mark.parametrize("per_class", [1, 5, 33])  # below, and one above, the number drawn at once
@pytest.mark.parametrize("name", NAMES)
def test_more_images_extend_the_set(name, per_class, small):
    fewer = load(name, train_per_class=per_class, test_per_class=1)
    longer = small[name]
    # One grey level: short arrays may take another path through the processor's vector unit.
    gap = fewer.train.images.astype(int) - longer.train.images[: len(fewer.train.images)]
    assert np.abs(gap).max() <= 1
    assert (gap != 0).mean() < 1e-3
    assert (fewer.train.labels == longer.train.labels[: len(fewer.train.labels)]).all()


def test_no_target_shares_a_class_with_the_source(small):
    kinds = {world.name: set(world.classes) for world in WORLDS}
    for name in ("near", "mid", "far", "hues"):
        assert not kinds[name] & kinds["source"]
    assert [len(kinds[name]) for name in NAMES] == [32, 10, 10, 10, 8]


def test_no_image_stands_twice(small):
    images = np.concatenate([part.images for d in small.values() for part in (d.train, d.test)])
    assert len({image.tobytes() for image in images}) == len(images)


def test_classes_do_not_share_a_nuisance_stream():
    draws = [Streams("shape", name, "train", 0).uniform("pose", 50, 5) for name in ("disc", "ring")]
    assert not np.isin(draws[0], draws[1]).all(axis=0).any()


@pytest.mark.parametrize(("name", "style"), [("source", 0.0), ("near", 0.0), ("near", 0.6), ("mid", 0.5), ("far", 0.7)])
def test_colour_says_nothing_of_the_class(name, style):
    """Least squares and nearest mean, on what colour an image has on average, both stay at chance."""
    dataset = load(name, style=style, train_per_class=60, test_per_class=30)
    chance = 1 / len(dataset.classes)
    spread = np.sqrt(chance * (1 - chance) / len(dataset.test.labels))
    for share in guessed_by_colour(dataset):
        assert abs(share - chance) < 4 * spread


def guessed_by_colour(dataset, order=(0, 1, 2)):
    """Shares of test images that each of the two tells right. `order`: of the test images' channels."""
    num_classes = len(dataset.classes)
    train, test = (part.images.mean(axis=(1, 2)) / 255 for part in (dataset.train, dataset.test))
    test = test[:, order]
    means = np.stack([train[dataset.train.labels == c].mean(axis=0) for c in range(num_classes)])
    nearest = np.linalg.norm(test[:, None] - means, axis=2).argmin(axis=1)
    train, test = (np.c_[part, np.ones(len(part))] for part in (train, test))
    weights = np.linalg.lstsq(train, np.eye(num_classes)[dataset.train.labels], rcond=None)[0]
    linear = (test @ weights).argmax(axis=1)
    return [(guess == dataset.test.labels).mean() for guess in (nearest, linear)]


def test_colour_is_the_class_of_hues_and_swapped_channels_are_another_one():
    dataset = load("hues", train_per_class=60, test_per_class=30)
    for right, swapped in zip(guessed_by_colour(dataset), guessed_by_colour(dataset, (2, 1, 0)), strict=True):
        assert right > 0.38, "chance is 0.125"
        assert swapped < right / 2


def test_classes_of_hues_show_the_same_thing():
    """In grey, nothing tells them apart: the ink of all comes from one distribution."""
    inks = [DRAW["hue"](name, Streams(0), 20, SOURCE).first for _, name in WORLDS[-1].classes]
    assert all((ink == inks[0]).all() for ink in inks)


@pytest.mark.parametrize(("kind", "name"), [("shape", "disc"), ("texture", "dots"), ("glyph", "K"), ("count", "six")])
def test_styles_are_paired_in_everything_else(kind, name):
    plain, strange = Streams(kind, name, "train", 0), Streams(kind, name, "train", 0)
    paint(plain, DRAW[kind](name, plain, 7, style_at(0.0)), style_at(0.0))
    paint(strange, DRAW[kind](name, strange, 7, style_at(1.0)), style_at(1.0))
    # No style has drawn more numbers than another: every stream goes on at the same place.
    assert plain._bits.keys() >= {"colour", "camera", "grain"}
    assert plain._bits.keys() == strange._bits.keys()
    for purpose in plain._bits:
        assert (plain.uniform(purpose, 3, 2) == strange.uniform(purpose, 3, 2)).all()


@pytest.mark.parametrize("factor", [f.name for f in fields(Style)])
def test_each_factor_of_style_moves_alone(factor):
    """What is inked depends on the factors of the drawing only, never on colour, backdrop or camera."""
    one_moved = replace(SOURCE, **{factor: getattr(style_at(1.0), factor)})
    kind, name = ("texture", "dots") if factor == "fade" else ("shape", "cross")
    inks = [DRAW[kind](name, Streams(0), 20, style).first for style in (SOURCE, one_moved)]
    drawing = {"turn", "size", "shift", "stretch", "hollow", "fade"}
    assert (inks[0] == inks[1]).all() == (factor not in drawing)


def test_the_scale_of_style_ends_where_it_says():
    assert style_at(0.0) == SOURCE
    assert style_at(0.5).turn == (SOURCE.turn + style_at(1.0).turn) / 2


def test_grain_is_about_normal():
    grain = Streams("grain").grain(100, 3072)
    assert abs(grain.mean()) < 0.01
    assert abs(grain.std() - 1) < 0.01
    assert 0.66 < (np.abs(grain) < 1).mean() < 0.70
    neighbours = np.corrcoef(grain[:, :-1].ravel(), grain[:, 1:].ravel())[0, 1]
    assert abs(neighbours) < 0.01


@pytest.mark.parametrize("style", [0.5, 1.0])
def test_no_image_of_hues_is_inverted_whatever_the_style(style):
    """An inverted image shows the opposite hue, which is another class."""
    for name in hues.HUES:
        assert hues.coloured(name, style_at(style)).negative == 0
