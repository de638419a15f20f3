"""What a mean owes to repeats and to images: by hand, by an analysis of variance, and by planted truths."""

import math

import numpy as np
import pytest

from bench.analysis.comparison import Contest, average, estimates
from bench.analysis.variance import Column, Estimate, Sample, pool


def column(bits: list[list[float]] | np.ndarray, which: list[list[int]] | None = None) -> Column:
    """[repeats, images]"""
    table = np.asarray(bits, np.float64)
    splits = None if which is None else {r: np.array(one) for r, one in enumerate(which)}
    images = {r: Column.centred(row) for r, row in enumerate(table)}
    return Column({r: float(row.mean()) for r, row in enumerate(table)}, images, splits)


def drawn(repeats: int, images: int, seed: int = 0) -> np.ndarray:
    """Repeats, images and residual all vary."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(repeats, 1)) + 2 * rng.normal(size=(1, images)) + 3 * rng.normal(size=(repeats, images))


def test_the_two_parts_are_those_of_an_analysis_of_variance() -> None:
    """Sums of squares written out, as textbooks have them, on a table of 4 repeats and 60 images."""
    table = drawn(4, 60)
    n, num = table.shape
    mean, rows, columns = table.mean(), table.mean(1), table.mean(0)
    ms_repeat = num * ((rows - mean) ** 2).sum() / (n - 1)
    ms_image = n * ((columns - mean) ** 2).sum() / (num - 1)
    residual = table - rows[:, None] - columns[None] + mean
    ms_residual = (residual**2).sum() / ((n - 1) * (num - 1))
    found = column(table).alone()
    assert found.variance == pytest.approx(ms_repeat / num)
    assert found.images == pytest.approx(ms_image / (n * num), rel=1e-5)
    assert found.as_many.shared[0] == pytest.approx((ms_image - ms_residual) / (n * num), rel=1e-5)
    assert found.as_many.least[0] == pytest.approx(ms_residual / num, rel=1e-4)
    whole = (ms_repeat + ms_image - ms_residual) / (n * num)
    assert Estimate.of(found).error ** 2 == pytest.approx(whole, rel=1e-5)


def test_never_below_the_larger_part() -> None:
    """Images that agree less within a repeat than by chance would make the sum smaller than one of its parts."""
    table = drawn(5, 40)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sample = column(rng.permuted(table, axis=1)).alone()
        estimate = Estimate.of(sample)
        assert estimate.error**2 >= max(sample.variance / 5, sample.images) * (1 - 1e-9)


def test_a_difference_is_taken_image_by_image() -> None:
    a, b = column([[1, 1, 0, 1], [1, 1, 1, 0]]), column([[1, 0, 0, 1], [1, 0, 1, 0]])
    found = a.minus(b)
    assert found.values.tolist() == [0.25, 0.25]
    # One image of four, in both repeats: .25 * .75 / 3 = .0625 for a mean of one repeat, and for that of both.
    assert found.within == pytest.approx(0.0625)
    assert found.images == pytest.approx(0.0625)
    assert found.is_identical
    assert Estimate.of(found).error == pytest.approx(0.25)
    assert Estimate.of(found).df == 3


def test_identical_repeats_leave_the_test_sample_alone() -> None:
    """A closed form over all labels: five records of one number. The interval is that of 100 images."""
    right = np.repeat([[1.0] * 90 + [0.0] * 10], 5, axis=0)
    found = Estimate.of(column(right).alone())
    assert found.error == pytest.approx(math.sqrt(0.9 * 0.1 / 99))
    low, high = found.share_ends()
    assert (low, high) == pytest.approx((0.824, 0.945), abs=2e-3)  # Wilson's for 90 of 100: .826 to .945
    bare = Estimate.of(Sample(np.full(5, 0.9)))
    assert all(math.isnan(end) for end in bare.share_ends())  # nothing is known of the images: no interval of width 0


def test_splits_of_their_own_share_what_they_have_in_common() -> None:
    """The same four images twice are crossed; none in common leaves nothing shared."""
    bits = drawn(2, 4)
    crossed, same = column(bits).alone(), column(bits, [[3, 1, 0, 2], [3, 1, 0, 2]]).alone()
    assert same.as_many.shared == pytest.approx(crossed.as_many.shared)
    apart = column(bits, [[0, 1, 2, 3], [4, 5, 6, 7]]).alone()
    assert apart.images == pytest.approx(apart.within / 2)  # of 8 images instead of 4
    assert apart.as_many.shared == pytest.approx(0, abs=1e-9)


def test_a_repeat_that_one_of_two_lacks_is_left_out() -> None:
    a = column(drawn(3, 10))
    b = Column({r: a.scores[r] - 0.1 for r in (0, 2)}, {r: a.images[r] for r in (0, 2)})
    assert a.minus(b).values.tolist() == pytest.approx([0.1, 0.1])


def test_without_images_of_one_repeat_nothing_is_said_of_them() -> None:
    a = column(drawn(3, 10))
    b = Column(a.scores, {0: a.images[0]})
    assert a.minus(b).num_images == 0
    assert a.minus(b).as_many.shared == 0


def sample(*values: float) -> Sample:
    return Sample(np.array(values))


def test_the_pool_by_hand() -> None:
    # Columns 0 2 4 and 1 1 4: variances 4 and 3, covariance (-2 * -1 + 0 * -1 + 2 * 2) / 2 = 3.
    # sd = sqrt(7 / 2); trace of the square = 16 + 9 + 2 * 9 = 43; df = 2 * 49 / 43
    found = pool([sample(0, 2, 4), sample(1, 1, 4)])
    assert found is not None
    assert found.sd == pytest.approx(math.sqrt(3.5))
    assert found.df == pytest.approx(98 / 43)


def test_degrees_of_freedom_do_not_multiply_with_copies() -> None:
    found = pool([sample(0.1, 0.3, 0.2, 0.5)] * 6)
    assert found is not None
    assert found.df == pytest.approx(3)


def test_a_wild_column_lends_four_medians_at_most() -> None:
    quiet = [sample(0.0, 0.02, 0.01), sample(0.01, 0.0, 0.02), sample(0.0, 0.01, 0.02)]  # variance .0001
    found = pool([*quiet, sample(0.0, 1.0, 0.0)])
    assert found is not None
    assert found.sd**2 == pytest.approx((3 * 0.0001 + 0.0004) / 4)
    estimate = estimates({"a": quiet[0], "b": quiet[1], "c": quiet[2], "wild": sample(0.0, 1.0, 0.0)})
    assert estimate["wild"].between == pytest.approx(1 / 3 / 3)  # its own, all of it
    assert estimate["a"].between == pytest.approx((0.0001 + 0.000175) / 2 / 3)


def test_moderated_and_never_below_its_own() -> None:
    found = estimates({"quiet": sample(1.0, 2.0, 3.0), "loud": sample(1.0, 3.0, 5.0)})  # variances 1 and 4
    assert found["quiet"].between == pytest.approx((1 + 2.5) / 2 / 3)
    assert found["loud"].between == pytest.approx(4 / 3)
    assert all(2 <= one.df_between <= 4 for one in found.values())


def test_alone_it_is_student() -> None:
    # mean 2, error 1 / sqrt(3); t = 3.4641 with 2 df: p = 1 - t / sqrt(2 + t^2) = 1 - 3.4641 / 3.74166 = 0.07418
    found = Estimate.of(sample(1.0, 2.0, 3.0))
    assert found.p == pytest.approx(0.07418, abs=1e-5)
    assert found.ends() == pytest.approx((-0.48414, 4.48414), abs=1e-5)
    assert found.p_above() == pytest.approx(0.03709, abs=1e-5)
    assert found.p_below() == pytest.approx(1 - 0.03709, abs=1e-5)


def test_one_pair_shows_nothing() -> None:
    found = Estimate.of(sample(5.0))
    assert math.isnan(found.p)
    assert math.isnan(found.ends()[0])
    assert math.isnan(found.detectable(0.05))


def test_without_any_spread_only_equality_is_undecided() -> None:
    assert Estimate.of(sample(0.0, 0.0, 0.0)).p == 1
    assert Estimate.of(sample(1.0, 1.0, 1.0)).p == 0
    assert Estimate.of(Sample(np.ones(3), step=0.5)).p > 0.05  # one image of two


def test_detectable_is_what_is_found_four_times_out_of_five() -> None:
    """Of repeats alone, by drawing them: 8 pairs with sd 1."""
    rng = np.random.default_rng(0)
    told = np.median([Estimate.of(Sample(rng.normal(size=8))).detectable(0.05) for _ in range(400)])
    found = np.mean([Estimate.of(Sample(told + rng.normal(size=8))).p < 0.05 for _ in range(2000)])
    assert found == pytest.approx(0.8, abs=0.04)


def test_images_needed() -> None:
    """A difference that only images hide asks for as many as the noncentral t says; one that repeats hide for ever."""
    still = Estimate(0.02, 5, 400, 0.0001**2, 4.0, 0.02**2, 0.02**2)
    needed = still.images_needed(still.detectable(0.05))
    # Power .8 at 5 %: z + z' = 2.80 errors; .02 / 2.80 = .00714, so 400 * (.02 / .00714)^2 = 3139, and a little for df.
    assert 3000 < needed < 3400
    restless = Estimate(0.02, 5, 400, 0.02**2, 4.0, 0.001**2, 0.001**2)
    assert restless.images_needed(restless.detectable(0.05)) == math.inf
    assert math.isnan(Estimate.of(sample(1.0, 2.0, 3.0)).images_needed(4.0))


def test_tasks_of_one_data_set_share_images_and_others_do_not() -> None:
    one = column(drawn(3, 50))
    twice = average([("a", one), ("a", one)]).alone()
    assert twice.images == pytest.approx(one.alone().images, rel=1e-5)
    apart = average([("a", one), ("b", one)]).alone()
    assert apart.images == pytest.approx(one.alone().images / 2, rel=1e-5)
    assert apart.values.tolist() == pytest.approx(one.alone().values.tolist())


def test_averages_number_the_images_of_every_data_set_anew() -> None:
    split = column(drawn(2, 4), [[0, 1, 2, 3], [2, 3, 4, 5]])
    both = average([("a", split), ("b", column(drawn(2, 4)))])
    assert both.which is not None
    assert [one.tolist() for one in both.which.values()] == [[0, 1, 2, 3, 6, 7, 8, 9], [2, 3, 4, 5, 6, 7, 8, 9]]


@pytest.mark.parametrize("is_known", [True, False], ids=["images known", "scores alone"])
def test_against_all_others_at_once_is_against_each(is_known: bool) -> None:
    """One of them twice, so that a difference is 0 throughout; one lacks a repeat, which then counts for none."""
    columns = [column(drawn(4, 30, seed) > 0) for seed in (0, 1, 2, 3, 1)]
    if not is_known:
        columns = [Column(one.scores, {}, step=1 / 30) for one in columns]
    columns[3] = Column({r: columns[3].scores[r] for r in (0, 1, 3)}, columns[3].images, step=columns[3].step)
    common = [Column({r: one.scores[r] for r in (0, 1, 3)}, one.images, step=one.step) for one in columns]
    contest = Contest(columns)
    for place, own in enumerate(common):
        single = estimates({n: one.minus(own) for n, one in enumerate(common) if n != place})
        found = contest.others_minus(place)
        lows, highs = found.ends(0.01)
        for at, one in enumerate(single.values()):
            assert vars(found[at]) == pytest.approx({name: vars(one)[name] for name in vars(found[at])}, rel=1e-9)
            assert (lows[at], highs[at]) == pytest.approx(one.ends(0.01), rel=1e-9)
            assert found.p_above()[at] == pytest.approx(one.p_above(), rel=1e-9)
