"""Layer-transfer studies whose truth is planted: each treatment has a known share of all images at each depth.

As in `planted.py`, an image is right where strength + difficulty + taste + run + labels + noise > 0. Targets of two
splits share images, as halves of one set do.

    python -m tests.analysis.studied --studies 200
"""

import argparse
import sys
from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pandas as pd
from scipy.special import ndtri

from bench.analysis.transferability import QUANTITIES, studies
from bench.store.predictions import Predictions

DIFFICULTY, TASTE, NOISE = 1.5, 0.7, 1.0
STILL = np.sqrt(DIFFICULTY**2 + TASTE**2 + NOISE**2)
TREATMENTS = ("BnB", "BnB+", "AnB", "AnB+", "random")


@dataclass(frozen=True)
class Planned:
    shares: dict[tuple[str, int], float] = field(default_factory=dict)  # by treatment and depth
    share: float = 0.8  # where `shares` says nothing
    n: int = 3
    splits: int = 2
    num_classes: int = 16
    per_class: int = 40  # test images
    units: int = 6
    run: float = 1.0  # points
    labels: float = 1.0

    def of(self, treatment: str, keep: int) -> float:
        return self.shares.get((treatment, keep), self.share)


@dataclass(frozen=True, eq=False)
class Held:
    """Predictions as a row of finals has them, in memory."""

    said: Predictions
    problem: str = ""

    def load(self) -> Predictions:
        return self.said

    def whole(self) -> Predictions:
        return self.said


def finals(planned: Planned, draw: np.random.Generator) -> pd.DataFrame:
    """Rows as `join.py` makes them, those columns that a study reads."""
    num = planned.num_classes * planned.per_class
    of_image = np.tile(np.arange(planned.num_classes), planned.per_class)
    difficulty = DIFFICULTY * draw.normal(size=num)
    cells = [("base", 0), *((one, keep) for one in TREATMENTS for keep in range(1, planned.units))]
    rows = []
    for split in range(planned.splits):
        order = draw.permutation(planned.num_classes)
        middle = planned.num_classes // 2
        for target, classes in (("A", np.sort(order[:middle])), ("B", np.sort(order[middle:]))):
            where = np.flatnonzero(np.isin(of_image, classes))
            truth = np.searchsorted(classes, of_image[where]).astype(np.uint16)
            rows += _rows(planned, draw, (cells, f"split {split}", target), (where, truth, classes, difficulty))
    return pd.DataFrame(rows)


def _rows(planned, draw, named, images):
    (cells, pair, target), (where, truth, classes, difficulty) = named, images
    unit = 0.01 * STILL / 0.28  # so much strength makes a point
    of_labels = planned.labels * unit * draw.normal(size=planned.n)
    rows = []
    for treatment, keep in cells:
        sd = planned.run * unit
        strength = ndtri(planned.of(treatment, keep)) * np.sqrt(STILL**2 + sd**2 + (planned.labels * unit) ** 2)
        lasting = difficulty[where] + TASTE * draw.normal(size=len(where))
        for repeat in range(planned.n):
            moved = strength + sd * draw.normal() + of_labels[repeat]
            right = moved + lasting + NOISE * draw.normal(size=len(where)) > 0
            said = Predictions(right, truth, np.where(right, truth, (truth + 1) % len(classes)).astype(np.uint16))
            rows.append({
                "pair": pair, "target": target, "treatment": treatment, "keep": keep, "repeat": repeat, "status": "ok",
                "score": float(right.mean()), "metric": "accuracy", "num_units": planned.units, "collapsed": 0.0,
                "curve": (),
                "classes": tuple(classes.tolist()), "predictions": Held(said),
            })  # fmt: skip
    return rows


def read(planned: Planned, draw: np.random.Generator):
    [study] = studies(SimpleNamespace(finals=finals(planned, draw)))
    return study


def read_groups(planned: Planned, draw: np.random.Generator):
    """With the last split's parts as groups, whose true values are the same."""
    frame = finals(planned, draw)
    frame.loc[frame["pair"] == f"split {planned.splits - 1}", "pair"] = "shapes and textures"
    return studies(SimpleNamespace(finals=frame))


def true_value(planned: Planned, reading) -> float:
    above, below = reading.quantity.minuend, reading.quantity.subtrahend

    def at(keep):
        return planned.of(above, keep) - planned.of(below, 0 if below == "base" else keep)

    values = [at(keep) for keep in reading.depths]
    return {"change": values[-1] - values[0], "gap": 0.0}.get(reading.form, np.mean(values))


def table(num: int, planned: Planned, seed: int = 0) -> dict[str, float]:
    """Shares of studies and of readings: what is shown wrongly, what is covered, what is found."""
    draw = np.random.default_rng(seed)
    covered, wrong, found = [], [], []
    for _ in range(num):
        study = read(planned, draw)
        true = [true_value(planned, one) for one in study.readings]
        ends = [one.found.ends() for one in study.readings]
        covered += [low <= value <= high for (low, high), value in zip(ends, true, strict=True)]
        shown = [one.is_shown for one in study.readings]
        wrong.append(any(one and value == 0 for one, value in zip(shown, true, strict=True)))
        found += [one for one, value in zip(shown, true, strict=True) if value != 0]
    return {"covered": np.mean(covered), "wrong": np.mean(wrong), "found": np.mean(found) if found else np.nan}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=200)
    num = parser.parse_args().studies
    drop = {("AnB", 4): 0.77, ("AnB", 5): 0.74}
    cases = {
        "nothing": Planned(), "nothing, 5 repeats": Planned(n=5), "nothing, one split": Planned(splits=1),
        "nothing, loud": Planned(run=3.0), "specific": Planned(drop), "specific, 5 repeats": Planned(drop, n=5),
        "specific, more images": Planned(drop, per_class=150),
    }  # fmt: skip
    say = sys.stdout.write
    say(f"{len(QUANTITIES)} quantities at 5 depths; % of {num} studies or of their readings\n")
    say("| case | covered | any shown wrongly | found of what is there |\n|---|---|---|---|\n")
    for name, planned in cases.items():
        told = table(num, planned)
        say(f"| {name} | {100 * told['covered']:.1f} | {100 * told['wrong']:.1f} | {100 * told['found']:.0f} |\n")


if __name__ == "__main__":
    main()
