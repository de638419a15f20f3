"""Random resized crops against torchvision's: the same boxes, and the same pixels of the same box."""

import dataclasses

import numpy as np
import pytest
import torch
from torchvision.transforms import InterpolationMode, RandomResizedCrop
from torchvision.transforms.v2 import functional as reference

from bench.engine.train.inputs import Direct, Share
from bench.modalities.crops import NUM_DRAWS, boxes_of, resized
from bench.modalities.pixels import Augment, ImageHandling, augment, prepare, view_of
from bench.spec.refs import Pipeline
from tests.engine import toys

TOLERANCE = 1e-5  # of a range of 1: both round in single precision
PIPELINE = Pipeline(24, (0.0,) * 3, (1.0,) * 3)


def noise(num, height=20, width=30, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (num, 3, height, width), np.uint8))


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def boxes(num, size, share=0.1, seed=0):
    return boxes_of(torch.rand(num, NUM_DRAWS, generator=generator(seed), dtype=torch.float64), share, size)


@pytest.mark.parametrize("side", [5, 16, 64])
@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
def test_a_box_shows_what_torchvision_shows_of_it(mode, side):
    """Enlarged and reduced, at the border and inside."""
    images = noise(40).float() / 255
    chosen = boxes(40, (20, 30))
    corners = torch.tensor([[0, 0, 20, 30], [0, 0, 7, 7], [13, 23, 7, 7], [19, 29, 1, 1]])
    chosen[:4] = corners
    made = resized(images, chosen, side, mode)
    for image, (top, left, height, width), ours in zip(images, chosen.tolist(), made, strict=True):
        theirs = reference.resized_crop(
            image, top, left, height, width, [side, side], InterpolationMode(mode), antialias=True
        )
        torch.testing.assert_close(ours, theirs, atol=TOLERANCE, rtol=0)


@pytest.mark.parametrize(("share", "size"), [(0.3, (64, 64)), (0.08, (20, 50)), (0.9, (32, 32)), (0.5, (60, 20))])
def test_boxes_are_drawn_as_torchvision_draws_them(share, size):
    num = 4000
    ours = boxes(num, size, share).double().numpy()
    torch.manual_seed(0)
    blank = torch.zeros(3, *size)
    theirs = np.array([RandomResizedCrop.get_params(blank, [share, 1.0], [3 / 4, 4 / 3]) for _ in range(num)])
    for a, b in zip(_told(ours), _told(theirs), strict=True):
        standard_error = np.sqrt((a.var() + b.var()) / num)
        assert abs(a.mean() - b.mean()) < 4 * standard_error + 1e-9
        assert np.abs(np.quantile(a, [0.1, 0.5, 0.9]) - np.quantile(b, [0.1, 0.5, 0.9])).max() <= 0.05 * np.ptp(b) + 1


def _told(found):
    top, left, height, width = found.T
    return top, left, height, width, height * width, width / height


def test_a_box_lies_in_its_image_and_a_whole_one_is_the_image():
    chosen = boxes(3000, (9, 40), 0.01)
    assert chosen[:, :2].min() == 0
    assert (chosen[:, 2:] >= 1).all()
    assert (chosen[:, 0] + chosen[:, 2] <= 9).all()
    assert (chosen[:, 1] + chosen[:, 3] <= 40).all()
    images = noise(2, 8, 8)
    whole = torch.tensor([[0, 0, 8, 8]] * 2)
    square = Pipeline(8, (0.0,) * 3, (1.0,) * 3)
    torch.testing.assert_close(prepare(images, square, whole), images.float() / 255)


def test_each_image_of_a_batch_has_a_box_of_its_own():
    same = noise(1).expand(200, -1, -1, -1)
    changed = augment(same, Augment(crop=0.3), generator())
    assert torch.equal(changed.pixels, same)
    assert len(changed.boxes.unique(dim=0)) > 150
    shown = prepare(*_with(changed))
    assert shown.shape == (200, 3, 24, 24)
    assert 0 <= shown.min() <= shown.max() <= 1
    assert len(shown.flatten(1).unique(dim=0)) > 150


def _with(changed):
    return changed.pixels, PIPELINE, changed.boxes


def test_crops_follow_their_generator_and_leave_flips_and_shifts_as_they_are():
    pixels = noise(50)
    plain = augment(pixels, Augment(True, 2), generator(1))
    one, again, other = (augment(pixels, Augment(True, 2, crop=0.5), generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(one.pixels, plain.pixels)
    assert plain.boxes is None
    assert torch.equal(one.boxes, again.boxes)
    assert not torch.equal(one.boxes, other.boxes)


def test_a_view_of_an_image_depends_on_its_row_alone():
    how = Augment(crop=0.2, views=3)
    pixels = noise(40)
    rows, views = torch.arange(40), torch.arange(40) % 3
    whole = view_of(pixels, rows, views, how).boxes
    chosen = torch.tensor([30, 2, 17])
    assert torch.equal(view_of(pixels[chosen], rows[chosen], views[chosen], how).boxes, whole[chosen])
    later = view_of(pixels, rows, (views + 1) % 3, how).boxes
    assert (later != whole).any(1).sum() > 30
    assert (how.num_views, Augment(crop=0.2).num_views, Augment(flip=True).num_views) == (3, None, 2)


def test_training_images_are_cropped_and_scored_ones_are_not():
    images, how = toys.images(), Augment(crop=0.3)
    supply = Direct(PIPELINE, how)
    index = torch.arange(20)
    (seen,) = supply.batches([Share(images, index, generator())])
    (plain,) = supply.batches([Share(images, index)])
    torch.testing.assert_close(plain[0], prepare(images.take(index).values[0], PIPELINE))
    expected = augment(images.take(index).values[0], how, generator())
    assert (expected.boxes[:, 2:] < 8).any()
    for number, (top, left, height, width) in enumerate(expected.boxes.tolist()):
        theirs = reference.resized_crop(images.take(index).values[0][number].float() / 255, top, left, height, width,
                                        [24, 24], InterpolationMode.BICUBIC, antialias=True)  # fmt: skip
        torch.testing.assert_close(seen[0, number], theirs.clamp(0, 1), atol=TOLERANCE, rtol=0)


def test_several_streams_are_cropped_each_by_its_own_generator():
    images, supply = toys.images(), Direct(PIPELINE, Augment(crop=0.3))
    index = torch.arange(10)
    (both,) = supply.batches([Share(images, index, generator(1)), Share(images, index, generator(2))])
    for number, seed in enumerate((1, 2)):
        (alone,) = supply.batches([Share(images, index, generator(seed))])
        torch.testing.assert_close(both[number], alone[0])
    assert not torch.equal(both[0], both[1])


def test_a_training_hands_its_crop_on():
    training = dataclasses.replace(toys.TRAINING, crop=0.4, views=2)
    assert ImageHandling().variation(training) == Augment(False, 0, 2, 0.4)
