"""What the mean of a few repeats owes to chance: the repeats themselves, and the test images that they share.

All repeats of a cell are scored on the same images, so what a strategy gains on just these never averages out, however
many repeats there are. The variance of a mean over n repeats has two parts, s^2 / n + c: s scatters between repeats,
and c is what two repeats have in common through their images (their covariance). Over crossed repeats and images c is
(MS_image - MS_residual) / (n M), as in an analysis of variance; where every repeat has a test split of its own it is
what the images that two splits share leave. `README.md` has the rule and how often it is right.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from bench.analysis.statistics import LEVEL, POWER, Floats, Spread, share_interval, t_quantile, t_share_below

WILD = 4.0  # times the median: no column lends the pool a larger variance
MANY = 1000  # repeats
SPREADS = 40  # between repeats, that the power is a mean over
ROUNDING = 1e-12  # of scores that are the same
SAME = 1e-5  # images are kept as float32

Singles = npt.NDArray[np.float32]  # a suite may have a hundred million of them
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Column:
    """Scores of one strategy, by repeat, and what each test image adds to them."""

    scores: dict[int, float]
    # Less the repeat's mean, over the number of images [M]; empty where nobody knows.
    images: dict[int, Singles]
    which: dict[int, Indices] | None = None  # images of a pool [M], where each repeat has a test split of its own
    step: float = 0.0  # the smallest difference between two scores, where nothing is known of the images

    @staticmethod
    def centred(adds: Floats) -> Singles:
        """Such that the sum of squares is the variance that single images give the mean."""
        centred: Singles = ((adds - adds.mean()) / math.sqrt(len(adds) * max(len(adds) - 1, 1))).astype(np.float32)
        return centred

    def minus(self, other: "Column") -> "Sample":
        repeats = [repeat for repeat in self.scores if repeat in other.scores]
        values = [self.scores[repeat] - other.scores[repeat] for repeat in repeats]
        known = [repeat for repeat in repeats if self._knows(repeat) and other._knows(repeat)]
        images = (self.images[repeat] - other.images[repeat] for repeat in known)
        return Sample.of(values, images, self._which(known), max(self.step, other.step))

    @property
    def mean(self) -> float:
        return float(np.mean(list(self.scores.values()))) if self.scores else math.nan

    def alone(self) -> "Sample":
        repeats = list(self.scores)
        known = [repeat for repeat in repeats if self._knows(repeat)]
        images = (self.images[repeat] for repeat in known)
        return Sample.of([self.scores[repeat] for repeat in repeats], images, self._which(known), 0.0)

    def _knows(self, repeat: int) -> bool:
        return repeat in self.images and (self.which is None or repeat in self.which)

    def _which(self, known: list[int]) -> list[Indices] | None:
        return None if self.which is None or not known else [self.which[repeat] for repeat in known]


@dataclass(frozen=True)
class Sample:
    """One quantity, a score or a difference of two, in every repeat. Variances of the mean that come from images:"""

    values: Floats  # [n]
    within: float = 0.0  # of the mean of one repeat
    images: float = 0.0  # of the mean over all repeats, were images all that varies
    num_images: int = 0  # different ones; 0: nothing is known of them, and nothing can be said about other test images
    step: float = 0.0

    @staticmethod
    def of(
        values: Sequence[float], images: Iterable[Singles], which: Sequence[Indices] | None, step: float
    ) -> "Sample":
        """`images`: of the repeats whose predictions are there."""
        squares, known, total, num = 0.0, 0, np.empty(0), 0
        places = None if which is None else np.unique(np.concatenate(which))
        for known, one in enumerate(images, 1):
            if known == 1:
                num = len(one) if places is None else len(places)
                total = np.zeros(num)
            squares += float(one @ one)
            if places is None or which is None:
                total += one
            else:
                total[np.searchsorted(places, which[known - 1])] += one
        n, kept = len(values), np.asarray(values, dtype=np.float64)
        if known < min(n, 2) or not known:
            return Sample(kept, step=step)
        within, shared = squares / known, 0.0
        if known > 1:
            shared = (float(total @ total) / known - within) / (known - 1)
        return Sample(kept, within, shared + (within - shared) / n, num, step)

    @property
    def n(self) -> int:
        return len(self.values)

    @property
    def mean(self) -> float:
        return float(self.values.mean()) if self.n else math.nan

    @cached_property
    def as_many(self) -> "Samples":
        return Samples.of([self])

    @property
    def variance(self) -> float:
        """Between repeats."""
        return float(self.as_many.variance[0])

    @property
    def is_identical(self) -> bool:
        """All repeats are one and the same, image by image."""
        return bool(self.as_many.is_identical[0])


@dataclass(frozen=True)
class Samples:
    """Many quantities [m] of the same number of repeats, each as a `Sample` has it."""

    values: Floats  # [m, n]
    within: Floats
    images: Floats
    num_images: Indices
    step: Floats

    @staticmethod
    def of(samples: Sequence[Sample]) -> "Samples":
        return Samples(
            np.array([one.values for one in samples], np.float64),
            np.array([one.within for one in samples], np.float64),
            np.array([one.images for one in samples], np.float64),
            np.array([one.num_images for one in samples], np.int64),
            np.array([one.step for one in samples], np.float64),
        )

    @property
    def n(self) -> int:
        return int(self.values.shape[1])

    @cached_property
    def variance(self) -> Floats:
        if self.n < 2:
            return np.full(len(self.values), math.nan)
        return np.where(np.ptp(self.values, axis=1) > ROUNDING, self.values.var(axis=1, ddof=1), 0.0)

    @cached_property
    def shared(self) -> Floats:
        """Covariance of two repeats, through the images that they share."""
        if self.n < 2:
            return self.images
        return np.maximum((self.n * self.images - self.within) / (self.n - 1), 0.0)

    @cached_property
    def is_identical(self) -> npt.NDArray[np.bool_]:
        rests_on_images = (self.num_images > 0) & (self.images >= self.within * (1 - SAME))
        same: npt.NDArray[np.bool_] = rests_on_images & (self.variance == 0)  # NaN, of a single repeat, is not 0
        return same

    @cached_property
    def least(self) -> Floats:
        """Variance between repeats below which chance alone among images would not let it fall."""
        return np.where(self.num_images > 0, np.maximum(self.within - self.shared, 0.0), self.step**2)

    def spread(self) -> Spread | None:
        """What the others' repeats say of the spread of any one; None where they say nothing.

        A column noisier than the rest by far lends no more than WILD times their median: one collapsed training would
        else drown what all others show. Columns that share a reference share its noise, so degrees of freedom do not
        add up: Greenhouse and Geisser's, (n - 1) tr(S)^2 / tr(S^2).
        """
        told = ~self.is_identical
        if self.n < 2 or not told.any():
            return None
        table, most = self.values[told], self.n
        variances = np.maximum(self.variance, self.least)[told]
        limited = np.minimum(variances, WILD * np.median(variances))
        sizes = np.sqrt(np.divide(limited, variances, out=np.ones_like(limited), where=variances > 0))
        centred = (table - table.mean(axis=1, keepdims=True)) * sizes[:, None]
        small = centred.T @ centred / (most - 1)  # [n, n]: the traces of S, and of its square, are those of this
        squared = float((small**2).sum())
        df = (most - 1) * float(np.trace(small)) ** 2 / squared if squared > 0 else most - 1
        return Spread(math.sqrt(float(limited.mean())), df)


def pool(samples: Sequence[Sample]) -> Spread | None:
    """The spread of those that have the most repeats."""
    told = [one for one in samples if one.n > 1 and not one.is_identical]
    most = max((one.n for one in told), default=0)
    return Samples.of([one for one in told if one.n == most]).spread() if told else None


@dataclass(frozen=True)
class Estimates:
    """Many means [m], each as an `Estimate` has it."""

    mean: Floats
    n: int
    num_images: Indices
    between: Floats
    df_between: Floats
    shared: Floats
    images: Floats

    @staticmethod
    def of(samples: Samples, others: Spread | None) -> "Estimates":
        """`others`: of the pool. The variance between repeats is the mean of the sample's own and the pool's, and never
        below its own."""
        n, own = samples.n, samples.variance
        df = n - 1.0
        if others is not None:
            own, df = np.maximum(own, (own + others.sd**2) / 2), min(max(others.df, n - 1.0), 2.0 * (n - 1))
        is_same = samples.is_identical
        return Estimates(
            samples.values.mean(axis=1), n, samples.num_images,
            between=np.where(is_same, 0.0, np.maximum(own, samples.least) / n),
            df_between=np.where(is_same, n - 1.0, df),
            shared=np.where(is_same, samples.images, samples.shared),
            images=samples.images,
        )  # fmt: skip

    def __getitem__(self, place: int) -> "Estimate":
        own = (getattr(self, name)[place] for name in ("between", "df_between", "shared", "images"))
        return Estimate(float(self.mean[place]), self.n, int(self.num_images[place]), *map(float, own))

    @cached_property
    def _here(self) -> tuple[Floats, Floats]:
        return _variance_of(self, self.between)

    def ends(self, level: float) -> tuple[Floats, Floats]:
        """As of one."""
        from scipy.special import stdtrit

        variance, df = self._here
        half = stdtrit(df, 1 - level / 2) * np.sqrt(variance)
        return self.mean - half, self.mean + half

    def p_above(self) -> Floats:
        """Of "the true mean is at most 0", one-sided."""
        from scipy.special import stdtr

        variance, df = self._here
        sure = np.where(self.mean == 0, 0.5, (self.mean < 0).astype(np.float64))
        t = np.divide(-self.mean, np.sqrt(variance), out=np.zeros_like(variance), where=variance > 0)
        return np.where(variance > 0, stdtr(df, t), sure)


@dataclass(frozen=True)
class Estimate:
    """A mean with what stands behind its intervals and tests. Without a second repeat there is nothing."""

    mean: float
    n: int
    num_images: int = 0  # 0: nothing is said of other test images
    # Variances of the mean:
    between: float = math.nan  # between repeats
    df_between: float = math.nan
    shared: float = 0.0  # through the images that repeats share
    images: float = 0.0  # were images all that varies: a lower limit

    @staticmethod
    def of(sample: Sample, others: Spread | None = None) -> "Estimate":
        """`others`: of the pool."""
        if sample.n < 2:
            return Estimate(sample.mean, sample.n, sample.num_images)
        return Estimates.of(sample.as_many, others)[0]

    @cached_property
    def _here(self) -> tuple[float, float]:
        variance, df = _variance_of(self, np.array([self.between]))
        return math.sqrt(variance[0]), float(df[0])

    @property
    def error(self) -> float:
        """The standard error of the mean; NaN for fewer than two repeats."""
        return self._here[0]

    @property
    def df(self) -> float:
        return self._here[1]

    def ends(self, level: float = 1 - LEVEL) -> tuple[float, float]:
        """Of the two-sided interval that errs with this level."""
        half = t_quantile(1 - level / 2, self.df) * self.error
        return self.mean - half, self.mean + half

    def share_ends(self, low: float = 0.0) -> tuple[float, float]:
        """Of the interval of a score, which lies between `low` and 1. Scores that are all the same and of whose images
        nothing is known have none."""
        quantile, size = t_quantile((1 + LEVEL) / 2, self.df), 1 - low
        found = share_interval((self.mean - low) / size, (self.error / size) ** 2, quantile, self.num_images)
        return low + size * found[0], low + size * found[1]

    def p_above(self, bound: float = 0.0) -> float:
        """Of "the true mean is at most `bound`", one-sided."""
        return self._share_below(bound - self.mean)

    def p_below(self, bound: float = 0.0) -> float:
        return self._share_below(self.mean - bound)

    @property
    def p(self) -> float:
        """Of "there is no difference", two-sided."""
        return min(1.0, 2 * min(self.p_above(), self.p_below())) if self.n > 1 else math.nan

    def _share_below(self, distance: float) -> float:
        if self.n < 2:
            return math.nan
        if self.error == 0:
            return 0.5 if distance == 0 else float(distance > 0)
        return t_share_below(distance / self.error, self.df)

    def detectable(self, level: float) -> float:
        """The true difference that a two-sided test at this level shows with a power of 0.8; NaN where there is none.

        The test's threshold varies with the spread that a suite happens to see, so this is a mean over such spreads:
        the noncentral t, with images beside the repeats.
        """
        from scipy.special import chdtri, ndtr, stdtrit

        if self.n < 2 or self.error == 0:
            return math.nan
        own = self.n - 1.0  # degrees of freedom of the part that varies most
        middle = self.between / chdtri(own, 0.5)  # what was seen is as likely too small as too large
        spreads = np.asarray(middle * chdtri(own, (np.arange(SPREADS) + 0.5) / SPREADS), np.float64)
        variance, df = _variance_of(self, spreads)
        threshold = stdtrit(df, 1 - level / 2) * np.sqrt(variance)
        error = math.sqrt(_variance_of(self, np.array([middle * own]))[0][0])
        differences = np.linspace(0, float(threshold.max()) + 4 * error, 200)
        power = ndtr((differences[:, None] - threshold) / error).mean(axis=1)
        return float(np.interp(POWER, power, differences))

    def repeats_needed(self, distance: float, level: float) -> float:
        """Repeats with which the interval at this level would reach no further than `distance`, were the spread and
        what the images owe as they seem; infinite where not even MANY would do."""
        repeats = np.arange(2, MANY + 1)
        variance = np.maximum(self.between * self.n / repeats, 0.0) + self.shared
        enough = np.flatnonzero(_quantiles(level) * np.sqrt(variance) <= distance)
        return float(repeats[enough[0]]) if len(enough) else math.inf

    def images_needed(self, detectable: float) -> float:
        """Test images with which a true difference as large as this one would be detectable; infinite where no test set
        would do with so few repeats, and NaN where nothing is known of the images."""
        if self.n < 2 or not self.num_images or self.error == 0:
            return math.nan
        reach = detectable / self.error
        bearable = (self.mean / reach) ** 2 - self.between
        from_images = self.error**2 - self.between
        return self.num_images * from_images / bearable if bearable > 0 else math.inf


def _variance_of(one: Estimate | Estimates, between: Floats) -> tuple[Floats, Floats]:
    """Of the mean, and its degrees of freedom, had repeats scattered by that much."""
    variance = np.maximum(between + one.shared, one.images)
    # Satterthwaite's would square the share of `between`: with a noisy reference and 3 repeats, 11 % of suites
    # without any effect then show one, instead of 4 %.
    below = between * variance / one.df_between + one.images**2 / np.maximum(one.num_images - 1, 1)
    certain = np.broadcast_to(np.maximum(one.num_images, one.n) - 1.0, variance.shape)
    return variance, np.divide(variance**2, below, out=certain.copy(), where=below > 0)


@lru_cache(maxsize=64)
def _quantiles(level: float) -> Floats:
    """Of Student's t, two-sided, for 2, 3, ... MANY repeats."""
    from scipy.special import stdtrit

    return np.asarray(stdtrit(np.arange(1, MANY), 1 - level / 2), np.float64)
