"""Real handwriting: scikit-learn's 1,797 scanned digits, which come with its wheel, enlarged from 8x8 to 32x32."""

from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from bench.catalogue import Options
from bench.datasets.base import Dataset, DatasetEntry, DatasetFacts, Split
from bench.datasets.sampling import subset_per_class

REVISION = 2  # bump when a pixel or the split changes
NUM_CLASSES = 10
NUM_IMAGES = 1797
SCANS = (178, 182, 177, 183, 181, 182, 181, 179, 174, 180)  # of each digit
SIDE = 32
DARKEST = 16  # the scans have 17 levels


class DigitsOptions(Options):
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
        train_sizes=(options.train_per_class,) * NUM_CLASSES,
        test_sizes=tuple(num - options.train_per_class for num in SCANS),
        classes=tuple(map(str, range(NUM_CLASSES))),
        revision=f"digits-{REVISION}:train_per_class={options.train_per_class},seed={options.seed}",
    )


def load(options: DigitsOptions) -> Dataset:
    scans, labels = read_scans()
    images = _enlarge(scans.reshape(-1, 8, 8))
    train = subset_per_class(labels, options.train_per_class, options.seed)
    test = np.setdiff1d(np.arange(NUM_IMAGES), train)
    return Dataset(
        classes=tuple(str(digit) for digit in range(NUM_CLASSES)),
        train=Split.of_images(images[train], labels[train]),
        test=Split.of_images(images[test], labels[test]),
    )


def read_scans() -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """[N, 64] and [N], from the file that scikit-learn's `load_digits` reads: importing scikit-learn takes a second."""
    spec = find_spec("sklearn")  # finds the package without running it
    assert spec is not None, "scikit-learn is installed with this project"
    assert spec.origin is not None, "scikit-learn is a package with an __init__.py"
    table = np.loadtxt(Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    assert table.shape == (NUM_IMAGES, 65), "scikit-learn ships other digits than this file was written for"
    return table[:, :-1], table[:, -1].astype(np.int64)


def _enlarge(scans: npt.NDArray[np.float64]) -> npt.NDArray[np.uint8]:
    """[N, 8, 8] in 0 .. 16 -> [N, 32, 32, 3], white on black."""
    weights = _cubic_weights()
    large = np.clip(weights @ scans @ weights.T, 0, DARKEST)  # a cubic overshoots at edges
    grey = np.rint(large * (255 / DARKEST)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=3)


def _cubic_weights() -> npt.NDArray[np.float64]:
    """[SIDE, 8]: how much of each scanned pixel goes into each new one, by Keys's cubic (a = -0.5).

    All weights are short binary fractions and all scans whole numbers, so the result is exact on every machine.
    """
    centres = (np.arange(SIDE) + 0.5) * (8 / SIDE) - 0.5
    weights = np.zeros((SIDE, 8))
    for neighbour in range(-2, 3):
        source = np.floor(centres) + neighbour
        gap = np.abs(centres - source)
        near = 1.5 * gap**3 - 2.5 * gap**2 + 1
        far = -0.5 * gap**3 + 2.5 * gap**2 - 4 * gap + 2
        weight = np.where(gap < 1, near, np.where(gap < 2, far, 0))
        # Beyond the edge, the outermost pixel goes on.
        np.add.at(weights, (np.arange(SIDE), np.clip(source, 0, 7).astype(int)), weight)
    return weights


DIGITS = DatasetEntry("digits", "1,797 real handwritten digits (scikit-learn)", facts, load, DigitsOptions)
