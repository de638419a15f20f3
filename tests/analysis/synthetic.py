"""Synthetic `SuiteResults` of the size and shape that small transfer suites have, with gaps as they happen."""

import hashlib
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from bench.analysis.frame import FINALS, PRETRAININGS, TRIALS, UNCHOSEN, SuiteResults

NAN = float("nan")
BUDGETS = (5, 20, 100)
# Mean score at 5, 20 and 100 labels per class: linear probe, full fine-tuning, scratch.
LEVELS: dict[str, tuple[tuple[float, ...], ...]] = {
    "near": ((0.905, 0.945, 0.966), (0.918, 0.964, 0.982), (0.206, 0.759, 0.965)),
    "mid": ((0.445, 0.586, 0.706), (0.496, 0.771, 0.945), (0.128, 0.230, 0.894)),
    "far": ((0.263, 0.314, 0.358), (0.284, 0.374, 0.690), (0.136, 0.183, 0.477)),
    "digits": ((0.755, 0.885, 0.945), (0.848, 0.978, 0.993), (0.920, 0.981, 0.998)),
}
# Strategy -> where it lies between the linear probe (0) and full fine-tuning (1), and its frozen depth.
STRATEGIES: dict[str, tuple[float, float]] = {
    "scratch": (NAN, NAN),
    "linear_probe": (0.0, 5),
    "full_finetune": (1.0, 0),
    "freeze(upto=1)": (1.02, 1),
    "freeze(upto=2)": (0.97, 2),
    "freeze(upto=3)": (0.85, 3),
    "freeze(upto=4)": (0.55, 4),
    "gradual_unfreeze": (0.99, NAN),
    "discriminative": (1.04, NAN),
}
SUITE: dict[str, Any] = {
    "name": "quickstart",
    "training": {
        "steps": 200, "epochs": None, "batch_size": 32, "optimizer": "sgd", "momentum": 0.9, "weight_decay": 5e-4,
        "schedule": "cosine", "warmup": 0.1, "evaluations": 5, "label_smoothing": 0.0,
        "augment": {"flip": False, "shift": 2, "views": 4},
    },
    "search": {
        "trials": 6, "sampler": "grid", "pruner": "halving", "first_rung": 2 / 9,
        "lr": {"low": 1e-3, "high": 1.0}, "weight_decay": None,
        "validation": "auto", "holdout": 0.2, "scope": "cell",
    },
    "engine": {"precision": "bf16", "partition": True, "fleet": "auto"},
    "repeats": 3,
    "seed": 0,
}  # fmt: skip
TEXT = """name: quickstart
description: Which strategy, when labels are few?
datasets:
  - {name: near, labels_per_class: [5, 20, 100]}
  - {name: digits, labels_per_class: [5, 20, 100]}
backbones:
  - {name: small, pretrain: {dataset: source, epochs: 12}}
strategies: [scratch, linear_probe, full_finetune, {freeze: {upto: 1}}]
search: {trials: 6}
repeats: 3
"""


@dataclass
class World:
    """What to make. Change a field and call `make`."""

    datasets: tuple[str, ...] = tuple(LEVELS)
    budgets: tuple[int, ...] = BUDGETS
    strategies: tuple[str, ...] = tuple(STRATEGIES)
    backbones: tuple[str, ...] = ("small, pretrained on source",)
    repeats: int = 3
    trials: int = 6
    gaps: bool = True
    seed: int = 0
    halving: bool = True
    rename: dict[str, str] = field(default_factory=dict)
    cohort: int = 0  # trials that are asked together; 0: all of them
    all_finals: bool = False  # of the points that were not chosen, too
    collapsed: tuple[tuple[str, int, str, int], ...] = ()  # dataset, budget, strategy, repeat


def typed(rows: list[dict[str, Any]], columns: dict[str, str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    return frame.astype(columns)  # type: ignore[arg-type]


def level(dataset: str, budget: int, strategy: str) -> float:
    probe, tune, scratch = (values[BUDGETS.index(budget)] for values in LEVELS[dataset])
    share = STRATEGIES[strategy][0]
    return scratch if math.isnan(share) else probe + share * (tune - probe)


def _status(world: World, cell: tuple[str, int, str], repeat: int) -> tuple[str, str]:
    if world.gaps:
        if cell == ("far", 100, "gradual_unfreeze") and repeat == 1:
            return "diverged", "loss became NaN at step 14 (rate 1.0)"
        if cell == ("mid", 100, "freeze(upto=3)") and repeat == 2:
            return "missing", ""
        if cell[2] == "discriminative" and cell[:2] == ("digits", 100):
            return "failed", "RuntimeError: expected 10 classes, the head has 8"
    return "ok", ""


def _final(world: World, backbone: str, cell: tuple[str, int, str], repeat: int) -> dict[str, Any]:
    dataset, budget, strategy = cell
    status, error = _status(world, cell, repeat)
    ok = status == "ok"
    rng = np.random.default_rng([world.seed, *map(ord, f"{backbone}{cell}{repeat}")])
    shared = np.random.default_rng([world.seed, *map(ord, f"{dataset}{budget}{repeat}")]).normal()
    middle = level(dataset, budget, strategy) - 0.01 * world.backbones.index(backbone)
    noise = 0.12 * middle * (1 - middle) * math.sqrt(5 / budget) * (0.9 * shared + 0.45 * rng.normal())
    score = min(round(800 * (middle + noise)) / 800, 1.0)
    collapsed = (*cell, repeat) in world.collapsed
    score = 0.1 if collapsed else score
    depth = STRATEGIES[strategy][1]
    work = 1.0 if math.isnan(depth) else 1.0 - 0.12 * depth
    lr, edge = (1.0, "high") if strategy == "linear_probe" and budget == 5 else (0.0631, "")
    return {
        "dataset": dataset, "budget": str(budget), "labels_per_class": float(budget), "backbone": backbone,
        "modality": "image", "seen_as": "32 × 32 pixels", "num_train": 1000.0, "num_test": 800.0,
        "strategy": strategy, "baseline": strategy == "scratch",
        "from_random": strategy == "scratch", "solved": "", "labels": "target",
        "control": False,
        "axis": "" if math.isnan(depth) else "depth", "axis_value": depth, "axis_kind": "", "num_units": 6,
        "pair": "", "target": "", "treatment": "", "keep": 0, "classes": None, "pitfall": "", "right": "",
        "repeat": repeat,
        "status": status, "error": error, "metric": "accuracy", "score": score if ok else NAN,
        "curve": (), "similarity": (), "projection": None, "mix": (),
        "best_on_test": min(score + 0.012 * abs(rng.normal()), 1.0) if ok else NAN, "lr": lr if ok else NAN,
        "train_loss_end": (2.6 if collapsed else 0.2) if ok else NAN, "collapsed": float(collapsed) if ok else NAN,
        "weight_decay": 5e-4, "penalty": NAN, "options": "",
        "lr_edge": edge if ok else "", "penalty_edge": "", "lr_low": 1e-3, "lr_high": 1.0,
        "num_trials": 0 if status == "missing" else world.trials, "steps": 200.0, "samples": 6400.0,
        "flops": 6400 * 4.1e7 * work if ok else NAN, "trainable_params": 311e3 * work**6, "total_params": 311e3,
        "added_params": 0.0,
        "source_before": 0.96, "source_after": 0.96 if depth == 5 else 0.9 - 0.02 * rng.random() if ok else NAN,
        "refitted_before": 0.93, "refitted_after": 0.93 if depth == 5 else 0.91 if ok else NAN,
        "seconds": (4.2 * work + 0.3 * rng.random()) if ok else NAN, "peak_memory_bytes": 2.1e8 if ok else NAN,
        **_engine(strategy, ok), "predictions": None, "num_classes": 10, "key": _key(backbone, cell, repeat),
    }  # fmt: skip


def _engine(strategy: str, ok: bool, replicas: float = 1.0) -> dict[str, Any]:
    if not ok:
        absent = {"replicas": NAN, "feature_seconds": NAN}
        return {"precision": "", "precision_why": "", "frozen": "", "whole": "", **absent}
    frozen = {"scratch": "none", "full_finetune": "none", "gradual_unfreeze": "kept/recomputed/none"}
    return {
        "precision": "bf16", "precision_why": "the CPU computes in bf16 (AMX)",
        "frozen": frozen.get(strategy, "kept"), "replicas": replicas, "whole": "",
        "feature_seconds": 0.25 if "freeze" in strategy else 0.0,
    }  # fmt: skip


RUNGS = (44, 133, 200)


def _races(scores: list[float]) -> list[tuple[int, float]]:
    """Of each trial: how far it trained and its first score, by the rule of halving."""
    alive = [number for number, score in enumerate(scores) if not math.isnan(score)]
    steps = [0] * len(scores)
    for end in RUNGS:
        for number in alive:
            steps[number] = end
        alive = sorted(alive, key=lambda number: -scores[number])[: max(2, math.ceil(len(alive) / 3))]
    return [(last, score * 0.8) for last, score in zip(steps, scores, strict=True)]


def _rungs(steps: int, first: float, last: float, halving: bool) -> tuple[tuple[int, float, float], ...]:
    """From the first score to the last in a straight line of rungs."""
    ends = [end for end in (RUNGS if halving else RUNGS[-1:]) if end <= steps]
    scores = np.linspace(first, last, len(ends)) if len(ends) > 1 else [last if ends[0] == RUNGS[-1] else first]
    return tuple((end, float(score), 1 - float(score)) for end, score in zip(ends, scores, strict=True))


def _key(*parts: Any) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:32]


def _trials(world: World, backbone: str, cell: tuple[str, int, str]) -> list[dict[str, Any]]:
    dataset, budget, strategy = cell
    rng = np.random.default_rng([world.seed, 7, *map(ord, f"{backbone}{cell}")])
    best = 1.0 if strategy == "linear_probe" and budget == 5 else 0.0631
    rates = np.geomspace(1e-3, 1.0, world.trials)
    middle = level(dataset, budget, strategy)
    falls = [0.16 * math.log10(rate / best) ** 2 * middle for rate in rates]
    scores = [float(np.clip(middle - fall + 0.01 * rng.normal(), 0, 1)) for fall in falls]
    if strategy == "full_finetune" and world.trials > 1:
        scores[-1] = NAN  # diverged
    courses = [(RUNGS[-1], score) for score in scores]
    if world.halving:
        size = world.cohort or len(scores)
        courses = [one for start in range(0, len(scores), size) for one in _races(scores[start : start + size])]
    finished = [n for n, (steps, _) in enumerate(courses) if steps == RUNGS[-1] and not math.isnan(scores[n])]
    chosen = min(finished, key=lambda n: abs(math.log(rates[n] / best))) if finished else -1
    rows = []
    for number, (score, (steps, first_score)) in enumerate(zip(scores, courses, strict=True)):
        ok = not math.isnan(score)
        rows.append({
            "dataset": dataset, "budget": str(budget), "labels_per_class": float(budget), "backbone": backbone,
            "strategy": strategy, "baseline": strategy == "scratch", "solved": "", "repeat": 0, "number": number,
            "status": "ok" if ok else "diverged", "lr": float(rates[number]), "weight_decay": 5e-4,
            "penalty": NAN, "options": "",
            "score": score, "loss": 1 - score, "collapsed": 0.0, "num_validation": 30.0,
            "cohort": number // world.cohort if world.cohort else 0, "planned": world.trials,
            "steps": float(steps) if ok else 14.0, "spent_steps": 3 * steps if ok else 42.0, "full_steps": 200.0,
            "rungs": _rungs(steps, first_score, score, world.halving) if ok else (),
            "pruned": ok and steps < RUNGS[-1], "first_step": float(RUNGS[0] if world.halving else 200) if ok else NAN,
            "first_score": first_score, "chosen": number == chosen, "seconds": 3.1,
            **_engine(strategy, ok, replicas=6.0), "key": _key(backbone, cell, "trial", number),
        })  # fmt: skip
    return rows


def _others(world: World, trials: pd.DataFrame) -> list[dict[str, Any]]:
    """A point scores on test about what it scored on validation."""
    names = ("dataset", "budget", "labels_per_class", "backbone", "strategy", "baseline", "solved", "number",
             "lr", "weight_decay", "penalty", "status")  # fmt: skip
    return [
        {**{name: row[name] for name in names}, "repeat": repeat, "key": _key("unchosen", *row[list(names)], repeat),
         "score": float(np.clip(row["score"] + 0.01 * np.random.default_rng([repeat, place]).normal(), 0, 1))}
        for place, row in trials.iterrows() for repeat in range(world.repeats) if not row["chosen"]
    ] if world.all_finals else []  # fmt: skip


def _pretraining(backbone: str) -> dict[str, Any]:
    return {
        "backbone": backbone, "dataset": "source", "status": "ok", "epochs": 12.0, "score": 0.950, "seconds": 46.0,
        "flops": 1.2e13, "weights_sha256": _key(backbone) * 2, "key": _key(backbone, "pretrain"),
    }  # fmt: skip


def make(world: World | None = None) -> SuiteResults:
    """A whole suite. `rename` replaces names everywhere, to try hostile ones."""
    world = world or World()
    search = {"trials": world.trials, "pruner": "halving" if world.halving else "none"}
    cells = [
        (b, (d, n, s)) for d in world.datasets for n in world.budgets for b in world.backbones for s in world.strategies
    ]
    finals = typed([_final(world, b, c, r) for b, c in cells for r in range(world.repeats)], FINALS)
    trials = typed([row for b, c in cells for row in _trials(world, b, c)], TRIALS)
    pretrainings = typed([_pretraining(b) for b in world.backbones], PRETRAININGS)
    for frame in (finals, trials, pretrainings):
        for column in {"dataset", "backbone", "strategy"} & set(frame.columns):
            frame[column] = frame[column].replace(world.rename)
    return SuiteResults(
        name="quickstart",
        description="Which strategy, when labels are few? Rendered image worlds at growing distance, and digits.",
        suite_text=TEXT,
        suite={**SUITE, "repeats": world.repeats, "search": {**SUITE["search"], **search}},
        finals=finals,
        trials=trials,
        pretrainings=pretrainings,
        unchosen=typed(_others(world, trials), UNCHOSEN),
        provenance=[
            {"commit": "13c8338", "dirty": False, "python": "3.11.2", "torch": "2.15.0", "device": "cpu", "records": 9}
        ],
        damaged=["results/quickstart/runs/ab/ab12.json: not JSON (line 1)"] if world.gaps else [],
        notes=["STAND-IN: dataset cifar10 is not on this machine; rendered images of the near world stand in for it."]
        if world.gaps
        else [],
    )
