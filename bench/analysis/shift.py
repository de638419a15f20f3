"""What a cell scores on a further split of its data, and how far below the test score that lies.

Predictions of that split are not kept: all intervals are over repeats, on its very images.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from bench.analysis.variance import Estimate, Sample

COLUMNS = ("shift", "shift_low", "shift_high", "drop", "drop_low", "drop_high")


def shift_columns(done: Sequence[dict[str, Any]], lowest: float, is_broken: bool) -> dict[str, float]:
    """Of the finished repeats of one cell. `drop`: test minus shift, paired by repeat. `lowest`: score that can be.
    `is_broken`: trainings that work stand beside some that collapsed, and a mean over both has no honest interval."""
    rows = [row for row in done if math.isfinite(row["shift_score"])]
    if not rows:
        return dict.fromkeys(COLUMNS, math.nan)
    test, shift = (np.array([row[name] for row in rows], np.float64) for name in ("score", "shift_score"))
    score, drop = (Estimate.of(Sample(values)) for values in (shift, test - shift))
    ends = (math.nan,) * 4 if is_broken or score.n < 2 else (*score.share_ends(lowest), *drop.ends())
    return dict(zip(COLUMNS, (score.mean, *ends[:2], drop.mean, *ends[2:]), strict=True))
