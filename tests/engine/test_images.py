"""From stored pixels to batches: each number by hand, each random decision per image."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.datasets.base import Split
from bench.engine.train.examples import Examples, Order
from bench.modalities.pixels import Augment, augment, prepare
from bench.spec.refs import Pipeline
from tests.engine import toys

PLAIN = Pipeline(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))


def stored(num=1, height=4, width=4, seed=0):
    draw = np.random.default_rng(seed)
    return torch.from_numpy(draw.integers(0, 256, (num, 3, height, width), np.uint8))


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def test_on_device_keeps_every_pixel_in_its_place():
    arrays = np.arange(2 * 3 * 5 * 3, dtype=np.uint8).reshape(2, 3, 5, 3)
    images = Examples.on_device(Split.of_images(arrays, np.array([4, 7])), torch.device("cpu"))
    assert images.values[0].shape == (2, 3, 3, 5)
    assert images.values[0][1, 2, 0, 4] == arrays[1, 0, 4, 2]
    assert images.labels.tolist() == [4, 7]
    assert len(images) == 2
    arrays[:] = 0  # a copy, not a view of a file that may be mapped
    assert images.values[0].any()
    taken = images.take(np.array([1, 1, 0]))
    assert taken.labels.tolist() == [7, 7, 4]
    assert torch.equal(taken.values[0][0], images.values[0][1])


def test_normalisation_by_hand():
    pixels = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    pixels[0, 0], pixels[0, 1], pixels[0, 2] = 0, 51, 255
    x = prepare(pixels, Pipeline(4, (0.5, 0.1, 0.25), (0.25, 0.5, 0.75)))
    assert x.dtype == torch.float32
    for channel, expected in enumerate([(0 - 0.5) / 0.25, (0.2 - 0.1) / 0.5, (1 - 0.25) / 0.75]):
        torch.testing.assert_close(x[0, channel], torch.full((4, 4), expected))


def test_an_image_of_the_right_size_is_not_resampled():
    pixels = stored(2)
    torch.testing.assert_close(prepare(pixels, PLAIN), pixels.float() / 255)


@pytest.mark.parametrize(("height", "width", "side"), [(4, 4, 8), (8, 8, 4), (6, 9, 5), (4, 8, 4)])
def test_resizing(height, width, side):
    flat = torch.full((2, 3, height, width), 100, dtype=torch.uint8)
    flat[1] = 255
    x = prepare(flat, Pipeline(side, (0.0,) * 3, (1.0,) * 3))
    assert x.shape == (2, 3, side, side)
    torch.testing.assert_close(x[0], torch.full((3, side, side), 100 / 255))
    noise = prepare(stored(1, height, width), Pipeline(side, (0.0,) * 3, (1.0,) * 3))
    assert 0 <= noise.min() <= noise.max() <= 1  # a cubic overshoots; no such pixel exists


def test_resizing_keeps_left_left_and_top_top():
    pixels = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    pixels[:, :, :4, :4] = 255
    x = prepare(pixels, PLAIN)[0, 0]
    assert x[:2, :2].min() > 0.8
    assert max(x[2:].max(), x[:, 2:].max()) < 0.2


def test_no_augmentation_is_identity():
    pixels = stored(5)
    assert torch.equal(augment(pixels, Augment(False, 0), generator()).pixels, pixels)


def test_flips_are_decided_per_image():
    pixels = stored(400)
    flipped = augment(pixels, Augment(True, 0), generator()).pixels
    mirrored = (flipped == pixels.flip(3)).flatten(1).all(1)
    same = (flipped == pixels).flatten(1).all(1)
    assert bool((mirrored ^ same).all())  # each image is one or the other, whole
    assert 160 < int(mirrored.sum()) < 240  # 4 standard deviations around one half
    assert 140 < int((mirrored[1:] != mirrored[:-1]).sum()) < 260  # and not in runs


def test_shifts_are_decided_per_image_and_repeat_the_border():
    pixels = stored(300, 5, 6)
    moved = augment(pixels, Augment(False, 2), generator()).pixels
    padded = torch.nn.functional.pad(pixels.float(), (2, 2, 2, 2), mode="replicate")
    found = []
    for before, after in zip(padded, moved.float(), strict=True):
        hits = [(dy, dx) for dy in range(5) for dx in range(5)
                if torch.equal(before[:, dy : dy + 5, dx : dx + 6], after)]
        assert len(hits) == 1
        found += hits
    counts = np.bincount([5 * dy + dx for dy, dx in found], minlength=25)
    assert counts.min() >= 2  # every one of 25 moves occurs, about 12 times each
    assert counts.max() <= 28


def test_augmentation_follows_its_generator_only():
    pixels, how = stored(50), Augment(True, 1)
    one = augment(pixels, how, generator(1)).pixels
    torch.rand(5)
    assert torch.equal(augment(pixels, how, generator(1)).pixels, one)
    assert not torch.equal(augment(pixels, how, generator(2)).pixels, one)


@pytest.mark.parametrize(("num_images", "batch_size"), [(10, 4), (10, 10), (7, 64), (1, 1), (9, 2), (5, 3)])
def test_every_pass_covers_each_image_once_and_no_batch_is_short(num_images, batch_size):
    order = Order(num_images, batch_size, seed=5)
    size = min(batch_size, num_images)
    batches = [order.next() for _ in range(6 * num_images)]
    assert {len(batch) for batch in batches} == {size}
    stream = np.concatenate(batches)
    for start in range(0, len(stream) - num_images + 1, num_images):
        assert sorted(stream[start : start + num_images]) == list(range(num_images))
    if num_images > 4:
        assert stream[:num_images].tolist() != stream[num_images : 2 * num_images].tolist()


def test_orders_are_deterministic():
    def stream(seed):
        order = Order(20, 6, seed)
        return np.concatenate([order.next() for _ in range(20)]).tolist()

    assert stream(1) == stream(1) != stream(2)


def test_the_toy_images_are_what_the_dataset_says():
    """The tests beside this one rest on it: 60 to learn from, 103 to test on."""
    train, test = toys.images("train"), toys.images("test")
    assert (len(train), len(test)) == (60, 103)
    assert train.labels.bincount().tolist() == [20, 20, 20]


def test_a_crop_shows_the_middle_of_the_resized_image():
    images = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    images[:, :, 4:12, 4:12] = 255
    zero, one = (0.0,) * 3, (1.0,) * 3
    assert prepare(images, Pipeline(8, zero, one, crop=0.5)).min() == 1
    whole = prepare(images, Pipeline(16, zero, one))
    assert torch.equal(prepare(images, Pipeline(14, zero, one, crop=0.875)), whole[:, :, 1:15, 1:15])


def test_interpolations_differ():
    noise = stored(1, 16, 16)
    zero, one = (0.0,) * 3, (1.0,) * 3
    made = [prepare(noise, Pipeline(9, zero, one, mode)) for mode in ("bicubic", "bilinear")]
    expected = [
        F.interpolate(noise / 255, size=(9, 9), mode=mode, antialias=True, align_corners=False).clamp(0, 1)
        for mode in ("bicubic", "bilinear")
    ]
    assert all(torch.allclose(a, b) for a, b in zip(made, expected, strict=True))
    assert not torch.allclose(*made)
