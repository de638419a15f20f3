"""How a trial stands after a rung, and what its record tells."""

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.engine.common.start import Finished, Start, has_collapsed, logical_cost
from bench.engine.train.evaluate import pooled
from bench.engine.train.loop import Outcome, evaluation_steps
from bench.engine.train.optimize import Hyper
from bench.planning.ranking import ranking
from bench.spec.job import FitSpec
from bench.spec.recipe import StopEarly
from bench.store.results import Cost, Fold, Rung, TrialResult, Unscored


def moments_of(spec: FitSpec) -> set[int]:
    """After so many steps a trial could stop; none where it goes to the end."""
    early = spec.recipe.stop_early
    return evaluation_steps(spec.training.steps, early.moments) if early is not None else set()


def standing(end: int, outcomes: Sequence[Outcome], moments: set[int], early: StopEarly | None) -> Rung:
    """Where a trial may stop early, as it would stand had it stopped at its best moment so far; of equal moments the
    first one."""
    if early is None:
        return _at(end, outcomes)
    rungs = [_at(step, outcomes) for step in outcomes[0].seen if step in moments] or [_at(end, outcomes)]
    if early.by == "loss":
        best = min(rungs, key=lambda r: (r.loss if r.loss is not None else math.inf, r.step))
    else:
        best = min(rungs, key=lambda r: ranking(r.score, r.loss, r.step))
    return replace(best, step=end, stop=best.step)


def _at(step: int, outcomes: Sequence[Outcome]) -> Rung:
    """Over all validation labels."""
    return Rung(step, *pooled([outcome.seen[step] for outcome in outcomes]))


def describe_trial(
    hyper: Hyper, spec: FitSpec, begin: Start, outcomes: Sequence[Outcome], rungs: Sequence[Rung]
) -> Finished:
    """`outcomes`: one for each fold. The folds after one that diverged do not count: alone, the trial would have ended
    there."""
    ran = [outcome for outcome in outcomes if outcome.steps]
    lost = next((number for number, outcome in enumerate(ran) if outcome.diverged_at is not None), None)
    ran = ran if lost is None else ran[: lost + 1]
    cost = Cost(logical=logical_cost(ran, begin.network, spec.recipe))
    if lost is not None:
        error = f"loss not finite at step {ran[lost].diverged_at}, rate {hyper.lr:g}"
        return Finished("diverged", Unscored(**hyper.as_dict()), cost, error)
    last = rungs[-1]
    result = TrialResult(
        **hyper.as_dict(),
        score=last.score,
        loss=last.loss,
        num_validation=sum(outcome.last.num for outcome in ran if outcome.last is not None),
        steps=last.step,
        stop=last.stop,
        collapsed=last.stop in (None, last.step)  # else the weights that count are earlier ones
        and any(has_collapsed(outcome, spec.data.num_classes) for outcome in ran),
        rungs=list(rungs),
        folds=[
            Fold(score=scored.score, loss=scored.loss, train_loss=outcome.curve[-1].train_loss)
            for outcome in ran
            if (scored := outcome.seen.get(last.stop or last.step)) is not None
        ],
    )
    return Finished("ok", result, cost)
