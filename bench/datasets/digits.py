"""Real handwriting: scikit-learn's 1,797 scanned digits, which come with its wheel, enlarged from 8x8 to 32x32."""

from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import ConfigDict, Field

from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Options, Split
from bench.datasets.sampling import subset_per_class

REVISION = 1  # bump when a pixel or the split changes
NUM_CLASSES = 10
NUM_IMAGES = 1797
SIDE = 32
DARKEST = 16  # the scans have 17 levels


class DigitsOptions(Options):
    model_config = ConfigDict(strict=True, use_attribute_docstrings=True)

    # The rarest digit has 174 scans: leave enough of them to test on.
    train_per_class: Annotated[int, Field(ge=1, le=140)] = 100
    """Training images of each digit; all others are test images."""
    seed: Annotated[int, Field(ge=0)] = 0
    """Another seed splits training and test images otherwise."""


def facts(options: DigitsOptions) -> DatasetFacts:
    num_train = NUM_CLASSES * options.train_per_class
    return DatasetFacts(
        num_classes=NUM_CLASSES,
        image_size=SIDE,
        num_train=num_train,
        num_test=NUM_IMAGES - num_train,
        smallest_class=options.train_per_class,
        revision=f"digits-{REVISION}:train_per_class={options.train_per_class},seed={options.seed}",
    )


def load(options: DigitsOptions) -> Dataset:
    from sklearn.datasets import load_digits

    scans, labels = load_digits(return_X_y=True)
    assert scans.shape == (NUM_IMAGES, 64), "scikit-learn ships other digits than this file was written for"
    images, labels = _enlarge(scans.reshape(-1, 8, 8)), labels.astype(np.int64)
    train = subset_per_class(labels, options.train_per_class, options.seed)
    test = np.setdiff1d(np.arange(NUM_IMAGES), train)
    return Dataset(
        classes=tuple(str(digit) for digit in range(NUM_CLASSES)),
        train=Split(images[train], labels[train]),
        test=Split(images[test], labels[test]),
    )


def _enlarge(scans: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """[N, 8, 8] in 0 .. 16 -> [N, 32, 32, 3], cubic splines, white on black."""
    from scipy.ndimage import zoom

    # grid_mode keeps the scan's outer edge on the image's outer edge; without it the digits would be shifted.
    large = zoom(scans, (1, SIDE / 8, SIDE / 8), order=3, mode="nearest", grid_mode=True)
    grey = np.rint(np.clip(large * (255 / DARKEST), 0, 255)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3)


DIGITS = DatasetEntry("digits", "1,797 real handwritten digits (scikit-learn)", facts, load, DigitsOptions)
