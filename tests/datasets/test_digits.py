import numpy as np
import pytest

from bench.datasets.digits import DIGITS, DigitsOptions, _enlarge, read_scans


@pytest.fixture(scope="module")
def digits():
    return DIGITS.load(DigitsOptions())


def test_facts_agree_with_what_is_loaded(digits):
    facts = DIGITS.facts(DigitsOptions())
    assert (len(digits.train.labels), len(digits.test.labels)) == (facts.num_train, facts.num_test) == (1000, 797)
    assert digits.train.images.shape[1:] == (32, 32, 3)
    assert np.bincount(digits.train.labels).tolist() == [facts.smallest_class] * facts.num_classes


def test_every_scan_is_used_once(digits):
    images = np.concatenate([digits.train.images, digits.test.images])
    assert len({image.tobytes() for image in images}) == len(images) == 1797


def test_the_scans_are_those_that_scikit_learn_loads():
    from sklearn.datasets import load_digits

    for ours, theirs in zip(read_scans(), load_digits(return_X_y=True), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_enlarging_keeps_the_scan(digits):
    """Averaged back to 8x8, an image is the scan it came from, up to the overshoot of the cubic."""
    from sklearn.datasets import load_digits

    scans = {tuple(np.round(s).astype(int)): y for s, y in zip(*load_digits(return_X_y=True), strict=True)}
    known = np.array(list(scans))
    small = digits.test.images[:50, :, :, 0].reshape(-1, 8, 4, 8, 4).mean(axis=(2, 4)).reshape(-1, 64) * (16 / 255)
    gaps = np.abs(small[:, None] - known).mean(axis=2)
    assert gaps.min(axis=1).max() < 1
    assert [scans[tuple(known[i])] for i in gaps.argmin(axis=1)] == digits.test.labels[:50].tolist()


def test_grey_means_three_equal_channels(digits):
    assert (digits.test.images[..., :1] == digits.test.images).all()
    assert digits.test.images.min() == 0
    assert digits.test.images.max() == 255


def test_the_split_follows_its_seed_and_grows_by_addition(digits):
    assert DIGITS.load(DigitsOptions()).sha256 == digits.sha256
    assert DIGITS.load(DigitsOptions(seed=1)).sha256 != digits.sha256
    fewer = {i.tobytes() for i in DIGITS.load(DigitsOptions(train_per_class=20)).train.images}
    assert fewer < {i.tobytes() for i in digits.train.images}


def test_enlarging_leaves_a_flat_scan_flat_and_a_slope_straight():
    flat = _enlarge(np.full((1, 8, 8), 16.0))
    assert (flat == 255).all()
    slope = _enlarge(np.tile(np.arange(8.0), (1, 8, 1)))[0, 16, 8:24, 0].astype(int)
    assert set(np.diff(slope)) <= {3, 4, 5}  # 255 / 16 levels per scanned pixel, four new ones in each
