"""Tables of claims whose truth is planted: how often a claim that is not true is said to hold, and one that is, found.

    python -m tests.analysis.claimed --tables 500

Cells are drawn as in `planted.py`: an image is right where strength + difficulty + taste + run + labels + noise > 0.
"""

import argparse
import sys
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pandas as pd

from bench.analysis.claims import FAILS, HOLDS, judged_claims
from bench.analysis.frame import PRETRAININGS, TRIALS, empty
from bench.store.predictions import Predictions
from bench.suite.claims_schema import ClaimSpec
from bench.suite.known_claims import LAYERS

from . import studied
from .planted import Planted, task
from .studied import Held

DATASETS, BUDGETS, STRATEGIES = ("near", "far", "digits"), (5, 50), ("scratch", "probe", "full", "partial")
SHARE = 0.8
Cell = tuple[str, int, str]


@dataclass(frozen=True)
class World:
    """Shares of images that each cell truly gets right."""

    shares: dict[Cell, float] = field(default_factory=dict)
    share: float = SHARE  # where `shares` says nothing
    planted: Planted = Planted(tasks=1)

    def of(self, cell: Cell) -> float:
        return self.shares.get(cell, self.share)


def finals(world: World, draw: np.random.Generator) -> pd.DataFrame:
    """Budgets of one data set share its images."""
    rows = []
    cells = [(budget, strategy) for budget in BUDGETS for strategy in STRATEGIES]
    for dataset in DATASETS:
        shares = np.array([world.of((dataset, budget, strategy)) for budget, strategy in cells])
        columns = task(replace(world.planted, strategies=len(cells)), draw, shares)
        for (budget, strategy), column in zip(cells, columns.values(), strict=True):
            rows += [_row(dataset, budget, strategy, repeat, column) for repeat in column.scores]
    return pd.DataFrame(rows)


def _row(dataset, budget, strategy, repeat, column):
    right = column.images[repeat] > 0
    return {
        "dataset": dataset, "modality": "image",
        "budget": str(budget), "labels_per_class": float(budget), "backbone": "net",
        "strategy": strategy, "repeat": repeat, "status": "ok", "score": column.scores[repeat], "metric": "accuracy",
        "collapsed": 0.0, "pitfall": "", "right": "", "control": False, "pair": "", "target": "", "treatment": "",
        "keep": 0, "classes": None, "predictions": Held(Predictions(right)), "source_after": np.nan, "flops": np.nan,
        "steps": 10.0, "weights": "ab", "key": "",
    }  # fmt: skip


def claims(margin: float) -> tuple[ClaimSpec, ...]:
    """Of every form: one task, a mean over three, other labels, a change of a difference, a level, and an equality."""
    few, many = {"labels": "fewest"}, {"labels": "most"}
    scratch, full = {"strategy": "scratch"}, {"strategy": "full"}
    made = [
        *({"more": {**full, **few, "dataset": name}, "less": {**scratch, **few}} for name in DATASETS),
        {"more": {**full, **few}, "less": {**scratch, **few}},
        {"more": {"strategy": "probe", **few}, "less": {**scratch, **few}},
        {"more": {"strategy": "partial", **few}, "less": {**scratch, **few}},
        {"more": {**full, **few}, "less": {**scratch, **many}},
        {"more": {**full, **few}, "less": {**scratch, **few},
         "beyond": {"more": {**full, **many}, "less": {**scratch, **many}}},
    ]  # fmt: skip
    stated = [{**one, "above": float(margin)} for one in made]
    stated.append({"more": {"strategy": "probe", **many}, "between": (100 * SHARE + margin, 100.0)})
    stated.append({"more": {"strategy": "partial", **few}, "less": {**scratch, **few}, "within": float(margin)})
    return tuple(ClaimSpec.model_validate({"claim": "a claim", **one}) for one in stated)


def judged(frame: pd.DataFrame, stated: tuple[ClaimSpec, ...]):
    return judged_claims(SimpleNamespace(
        every_final=frame, every_trial=empty(TRIALS), pretrainings=empty(PRETRAININGS), claims=stated
    ))  # fmt: skip


def effects(points: float) -> dict[Cell, float]:
    """Such that every difference of the claims is this large."""
    gain = points / 100
    shares = {(d, 5, s): SHARE + gain for d in DATASETS for s in ("full", "probe", "partial")}
    return shares | {(d, 50, "probe"): SHARE + gain for d in DATASETS}


def table(num: int, world: World, stated: tuple[ClaimSpec, ...], seed: int = 0) -> dict[str, float]:
    """Shares of tables with any verdict of the kind, and of claims but the equality that are said to hold."""
    draw = np.random.default_rng(seed)
    held, failed, found = 0, 0, []
    for _ in range(num):
        verdicts = [one.verdict for one in judged(finals(world, draw), stated)]
        held, failed = held + (HOLDS in verdicts), failed + (FAILS in verdicts)
        found.append([one == HOLDS for one in verdicts[:-1]])
    return {"holds": held / num, "fails": failed / num, "found": float(np.mean(found))}


# Twice the margin of each claim about layers that has one, nothing where it says "no worse", and 3 points of
# co-adaptation.
STUDY = {
    ("BnB", 2): 0.77, ("BnB", 3): 0.77, ("BnB", 4): 0.77, ("AnB", 5): 0.7,
    ("random", 2): 0.7, ("random", 3): 0.7, ("random", 4): 0.7, ("random", 5): 0.6,
}  # fmt: skip
FALSE = ("deep_units_are_specific", "units_are_coadapted", "transfer_boosts_even_after_tuning",
         "transfer_beats_the_base", "dissimilar_tasks_transfer_less", "random_units_are_worse",
         "random_units_fall_with_depth")  # fmt: skip


def study(planned: studied.Planned, draw: np.random.Generator) -> pd.DataFrame:
    """Two splits, of which the second one stands for the groups."""
    rows = studied.finals(planned, draw)
    rows["pair"] = rows["pair"].replace("split 1", "shapes and textures")
    return rows.assign(
        dataset=rows["pair"] + rows["target"], budget="full", labels_per_class=100.0, backbone="net", collapsed=0.0,
        modality="image",
        strategy=rows["treatment"] + rows["keep"].astype(str), source_after=np.nan, flops=np.nan, steps=10.0, key="",
        pitfall="", right="", control=False,
    )  # fmt: skip


def table_of_studies(num: int, n: int, seed: int = 0) -> tuple[float, dict[str, float]]:
    """Share of studies without any effect in which one is said to hold; and how often what is there is found."""
    draw, names = np.random.default_rng(seed), list(LAYERS)
    stated = tuple(ClaimSpec.model_validate({"name": name}) for name in names)
    wrong, found = 0, np.zeros(len(names))
    for _ in range(num):
        null = judged(study(studied.Planned(n=n, per_class=120), draw), stated)
        wrong += any(one.verdict == HOLDS for name, one in zip(names, null, strict=True) if name in FALSE)
        true = judged(study(studied.Planned(STUDY, n=n, per_class=120), draw), stated)
        found += [one.verdict == HOLDS for one in true]
    return wrong / num, dict(zip(names, found / num, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tables", type=int, default=300)
    num = parser.parse_args().tables
    say = sys.stdout.write
    say(f"10 claims over 3 data sets; % of {num} tables, or of their claims\n")
    say("| case | repeats | margin | at the edge: any holds | any fails | at twice the margin: found |\n")
    say("|---|---|---|---|---|---|\n")
    for case, n in (("equal", 3), ("equal", 5), ("equal", 10), ("lognormal", 5), ("half noisy", 5), ("families", 5)):
        for margin in (1.0, 3.0, 5.0):
            planted, stated = Planted(case, n=n, tasks=1), claims(margin)
            edge = table(num, World(effects(margin), planted=planted), stated)
            twice = table(num // 3, World(effects(2 * margin), planted=planted), stated)
            told = (100 * edge["holds"], 100 * edge["fails"], 100 * twice["found"])
            say(f"| {case} | {n} | {margin:g} | {told[0]:.1f} | {told[1]:.1f} | {told[2]:.0f} |\n")
            sys.stdout.flush()
    for n in (3, 5):
        wrong, found = table_of_studies(num // 3, n)
        say(f"study, {n} repeats: {100 * wrong:.1f} % say what is not there; "
            + ", ".join(f"{name} {100 * share:.0f}" for name, share in found.items()) + "\n")  # fmt: skip
        sys.stdout.flush()


if __name__ == "__main__":
    main()
