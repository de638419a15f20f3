"""The gate as one JSON value for programs: `as_json`. The names below are an interface; `format` counts their changes.

    format          2
    suite           its name
    method          "pairs" or "history"
    baseline        the file, as given
    margin          points: a drop up to it is none
    must_see        points: a drop that the gate is expected to catch
    smallest        points: the smallest drop that every compared cell with a known one would have shown; or null
    exit_code       0, 1 (regressed, missing, or slower), 3 (trainings went wrong), 4 (too little could have been seen)
    sentence        the same in words
    fail_on         the words that make the exit code 1
    counts          word -> number of cells; all eight words
    blind           number of compared cells in which a drop of must_see could have gone unseen
    unseen          the same among all cells that the baseline has: those that were not compared, too
    mean            of all compared cells together, as one of `cells` without a name, and its own margin; or null
    notes           full sentences
    facts           what was compared with what: name -> text
    cells           in the suite's order, missing ones last:
        dataset, budget, backbone, strategy     labels, as tables show them
        word, reason, fails, went_wrong         fails: this cell alone keeps the exit code from being 0
        n                                       pairs, or tonight's repeats
        before, after                           mean scores, shares between 0 and 1
        change, low, high                       points; tonight minus baseline, and its interval
        p, smallest                             corrected for all cells; points
    costs           name, quantity ("seconds", "memory", "benchmark"), word, reason, fails,
                    before, after (seconds or bytes), factor

A number that is unknown or without end is null.
"""

import math
from typing import Any

from bench.gate.outputs.sentences import fails, sentence
from bench.gate.verdict import WORDS, CostVerdict, GateResult, Verdict

FORMAT = 2
MEASURED = ("before", "after", "change", "low", "high", "p", "smallest")


def as_json(result: GateResult) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "suite": result.suite,
        "method": result.method,
        "baseline": result.baseline,
        "margin": _number(result.margin),
        "must_see": _number(result.must_see),
        "smallest": _number(result.smallest),
        "exit_code": result.exit_code,
        "sentence": sentence(result),
        "fail_on": list(result.fail_on),
        "counts": {word: result.count(word) for word in WORDS},
        "blind": len(result.blind),
        "unseen": len(result.unseen),
        "mean": _mean(result),
        "notes": list(result.notes),
        "facts": dict(result.facts),
        "cells": [_cell(result, verdict) for verdict in result.verdicts],
        "costs": [_cost(cost) for cost in result.costs],
    }


def _cell(result: GateResult, verdict: Verdict) -> dict[str, Any]:
    cell = verdict.cell
    names = {"dataset": cell.dataset, "budget": cell.budget, "backbone": cell.backbone, "strategy": cell.strategy}
    return {**names, **_verdict(result, verdict)}


def _mean(result: GateResult) -> dict[str, Any] | None:
    if result.mean is None:
        return None
    return {"margin": _number(result.mean_margin), **_verdict(result, result.mean)}


def _verdict(result: GateResult, verdict: Verdict) -> dict[str, Any]:
    return {
        "word": verdict.word,
        "reason": verdict.reason,
        "fails": fails(result, verdict),
        "went_wrong": verdict.went_wrong,
        "n": verdict.n,
        **{key: _number(getattr(verdict, key)) for key in MEASURED},
    }


def _cost(cost: CostVerdict) -> dict[str, Any]:
    return {
        "name": cost.name,
        "quantity": cost.quantity,
        "word": cost.word,
        "reason": cost.reason,
        "fails": cost.word == "slower",
        **{key: _number(getattr(cost, key)) for key in ("before", "after", "factor")},
    }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
