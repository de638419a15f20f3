"""Strategies whose classifier is computed instead of trained: all penalties of a split from one feature matrix."""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from bench import modalities
from bench.engine.common import labels as labels_of
from bench.engine.common.context import Context
from bench.engine.common.records import (
    crashed,
    guarded,
    record_of,
    trial_record,
    unchosen_record,
    why_no_score,
    write,
)
from bench.engine.common.start import Finished, Start, labelled_images, of_shift, scored_once, start, weights_of
from bench.engine.jobs.deployed import as_deployed
from bench.engine.reuse.stages import stages_for
from bench.engine.train.evaluate import BATCH, Answers, Scored, pooled
from bench.engine.train.examples import Examples
from bench.engine.train.inputs import Share
from bench.engine.train.precision import arithmetic
from bench.engine.train.stage import Stage, plain_stages
from bench.network.capture import Seen, in_eval_mode, watched
from bench.network.flops import forward_flops
from bench.network.units import Network
from bench.planning.ranking import ranking
from bench.solve.closed_forms import logistic_path, prototypes, ridge_folds, ridge_path
from bench.spec.job import FitSpec, Job, trial_key, unchosen_key
from bench.spec.parts import Head, MixedHead, Mixer
from bench.spec.recipe import Solve
from bench.store import Record
from bench.store.results import Cost, Edge, EngineUse, FinalResult, Fold, Logical, Measured, TrialResult


def solve_searches(jobs: Sequence[Job], context: Context) -> bool:
    """False: asked to stop before the last one. A search that was interrupted solves all of its path again."""
    for job in jobs:
        spec = _spec(job)
        missing = [n for n in range(spec.search.trials) if context.store.read(trial_key(job.key, n)) is None]
        if not missing:
            continue
        if context.stopping():
            return False
        points = penalties(spec)
        dead = trial_record(job, (missing[0], _point(points[missing[0]])), context)
        context.begins([dead], 0)
        finished = guarded(lambda spec=spec, dead=dead: _trials(spec, dead, context))  # type: ignore[misc]
        for number in missing:
            one = finished if isinstance(finished, Finished) else finished[number]
            write(context.store, trial_record(job, (number, _point(points[number])), context, one), context)
    return True


def solve_finals(jobs: Sequence[Job], context: Context) -> bool:
    for job in jobs:
        if job.kind == "unchosen":
            _others(job, context)
        elif context.store.read(job.key) is None:
            dead = crashed(record_of(job, context))
            context.begins([dead], 0)
            finished = guarded(lambda job=job, dead=dead: _final(job, dead, context))  # type: ignore[misc]
            write(context.store, record_of(job, context, finished), context, finished.predictions)
    return True


def _others(job: Job, context: Context) -> None:
    """Classifiers of the penalties that were not chosen."""
    spec = _spec(job)
    last = spec.search.trials - 1
    chosen = _chosen(job, context)
    others = [number for number in range(last + 1) if number != (last if chosen is None else chosen)]
    for place, number in enumerate(others):
        if context.store.read(unchosen_key(job.key, place)) is not None:
            continue
        point = (number, _point(penalties(spec)[number]))
        dead = crashed(unchosen_record(job, place, point, context))
        context.begins([dead], 0)
        finished = guarded(lambda number=number, dead=dead: _classifier(spec, number, dead, context))  # type: ignore[misc]
        write(context.store, unchosen_record(job, place, point, context, finished), context)


def penalties(spec: FitSpec) -> list[float]:
    """On a logarithmic grid with exact ends, whatever the sampler of the suite."""
    solve, num = _solve(spec), spec.search.trials
    if num == 1:
        return [math.sqrt(solve.low * solve.high)]
    step = math.log(solve.high / solve.low) / (num - 1)
    return [solve.low, *(solve.low * math.exp(i * step) for i in range(1, num - 1)), solve.high]


@dataclass(frozen=True)
class _Matrix:
    """What a network makes of some images, as its classifier would see it."""

    features: Tensor  # [n, D]
    images: Examples
    begin: Start
    stage: Stage
    widths: dict[int, int] = field(default_factory=dict)  # columns of each unit, where these are told apart

    @property
    def labels(self) -> Tensor:
        return self.images.labels


def _trials(spec: FitSpec, dead: Record, context: Context) -> list[Finished]:
    """`dead`: what a crash would leave."""
    meter = context.meter()
    data = context.data(spec.data, spec.pipeline)
    images = labelled_images(spec, data)
    matrix = _matrix(spec, images, [], context)
    context.begins([dead], 1)
    points = penalties(spec)
    parts = labels_of.splits(spec, images.known_labels, data.listed_for(spec))
    splits = [(torch.from_numpy(a).to(images.device), torch.from_numpy(b).to(images.device)) for a, b in parts]
    heads = _paths(spec, matrix, [train for train, _ in splits], [held for _, held in splits])
    scores = [
        [_score(head, matrix, held, _solve(spec)) for head in path]
        for path, (_, held) in zip(heads, splits, strict=True)
    ]
    # One pass over the images serves all penalties, so each trial has its share of it.
    cost = _cost(spec, matrix, context, Measured().plus(meter.read(), len(points)), len(points))
    saw = {"dataset_sha256": data.sha256, "weights": weights_of(matrix.begin)["weights"]}
    results = [_trial(point, [one[n] for one in scores], [path[n] for path in heads]) for n, point in enumerate(points)]
    return [Finished("ok", result.model_copy(update=saw), cost) for result in results]


def _paths(spec: FitSpec, matrix: _Matrix, train: list[Tensor], held: list[Tensor]) -> list[list[Head]]:
    points, num_classes = penalties(spec), spec.data.num_classes
    features, labels = matrix.features, matrix.labels
    if _solve(spec).form == "ridge" and len(held) > 1:
        return [list(path) for path in ridge_folds(features, labels, num_classes, points, held)]
    return [_path(spec, matrix, points, index) for index in train]


def _path(spec: FitSpec, matrix: _Matrix, points: list[float], index: Tensor | None) -> list[Head]:
    features, labels, num_classes = matrix.features, matrix.labels, spec.data.num_classes
    solve = _solve(spec)
    if solve.solver is not None:
        rows, its = (features, labels) if index is None else (features[index], labels[index])
        if isinstance(solve.solver, Mixer):
            return [*solve.solver.heads(torch.split(rows, [*matrix.widths.values()], 1), its, num_classes, points)]
        return solve.solver.heads(rows, its, num_classes, points)
    match solve.form:
        case "ridge":
            return [*ridge_path(features, labels, num_classes, points, index)]
        case "logistic":
            return [*logistic_path(features, labels, num_classes, points, index)]
        case _:
            return [prototypes(features, labels, num_classes, index)]


def _score(head: Head, matrix: _Matrix, index: Tensor | None, solve: Solve) -> Scored:
    features = matrix.features if index is None else matrix.features[index]
    # Only logistic regression's scores are log-likelihoods.
    answers = Answers(matrix.images if index is None else matrix.images.take(index), solve.form == "logistic")
    answers.add(head.logits(features)[None])
    return answers.scored()[0]


def _trial(penalty: float, scores: list[Scored], heads: list[Head]) -> TrialResult:
    score, loss = pooled(scores)
    return TrialResult(
        **_solver(penalty, heads),
        score=score,
        loss=loss,
        num_validation=sum(one.num for one in scores),
        folds=[Fold(score=one.score, loss=one.loss) for one in scores],
    )


def _solver(penalty: float, heads: list[Head]) -> dict[str, Any]:
    return {
        "penalty": penalty,
        "converged": all(head.converged for head in heads),
        "evaluations": sum(head.evaluations for head in heads),
        "gradient_norm": max(head.gradient_norm for head in heads),
    }


def _final(job: Job, dead: Record, context: Context) -> Finished:
    spec = _spec(job)
    chosen = _chosen(job, context)
    if chosen is None:
        return why_no_score(job.needs[-1], spec, context.store)
    return _classifier(spec, chosen, dead, context)


def _chosen(job: Job, context: Context) -> int | None:
    """The number of the best trial, if any has a score; of equal ones the stronger penalty, whose number is larger."""
    scored = {}
    for number in range(_spec(job).search.trials):
        record = context.store.read(trial_key(job.needs[-1], number))
        if record is None:
            raise RuntimeError(f"a trial of search {job.needs[-1]} has no record")
        if record.trial is not None:
            scored[number] = ranking(record.trial.score, record.trial.loss, -number)
    return min(scored, key=lambda number: scored[number], default=None)


def _classifier(spec: FitSpec, number: int, dead: Record, context: Context) -> Finished:
    """Made of all labels, scored on the test split."""
    meter = context.meter()
    data = context.data(spec.data, spec.pipeline)
    images = labelled_images(spec, data)
    matrix = _matrix(spec, images, data.scored, context)
    context.begins([dead], 1)
    penalty = penalties(spec)[number]
    (head,) = _path(spec, matrix, [penalty], None)
    deployed = spec.deployed is not None
    features = _deployed_features(matrix, data.test, spec) if deployed else _features(matrix, data.test, spec)
    test = dataclasses.replace(matrix, features=features, images=data.test)
    scored = _score(head, test, None, _solve(spec))
    cost = _cost(spec, matrix, context, meter.read())
    if context.hand_over is not None:
        context.hand_over(spec, matrix.begin.network, head)
    further = None  # not part of its time, as in `finals.py`
    if data.shift is not None and not deployed:
        shift = dataclasses.replace(matrix, features=_features(matrix, data.shift, spec), images=data.shift)
        further = _score(head, shift, None, _solve(spec))
    result = FinalResult(
        **_solver(penalty, [head]),
        **_mix(head, matrix),
        **weights_of(matrix.begin),
        penalty_edge=_edge(number, spec.search.trials),
        trial=number,
        lr_edge="",
        num_labels=len(images),
        **scored_once(scored, data),
        **of_shift(further),
    )
    return Finished("ok", result, cost, predictions=scored.predictions)


def _mix(head: Head, matrix: _Matrix) -> dict[str, Any]:
    if not isinstance(head, MixedHead):
        return {}
    by_unit = dict(zip(matrix.widths, head.mix, strict=True))
    if len(by_unit) == 1:  # others are not read; of many a unit without a share has put out nothing
        by_unit = {unit: by_unit.get(unit, 0.0) for unit in range(matrix.begin.network.num_units - 1)}
    return {"mix": [by_unit.get(unit) for unit in range(matrix.begin.network.num_units - 1)]}


def _edge(number: int, trials: int) -> Edge:
    if trials == 1:
        return ""
    return "low" if number == 0 else "high" if number == trials - 1 else ""


def _matrix(spec: FitSpec, images: Examples, scored: list[Examples], context: Context) -> _Matrix:
    begin = start(spec, context)
    begin.renew()
    if _reads_units(spec):
        stage = plain_stages(begin.network, spec.procedure)(0)
        begin.network.set_active(spec.recipe.active(0))
    else:
        stage = stages_for(spec, begin, [images], context, scored)(0)
    widths = _widths(begin.network, spec, context) if isinstance(_solve(spec).solver, Mixer) else {}
    found = _Matrix(torch.empty(0), images, begin, stage, widths)
    return dataclasses.replace(found, features=_features(found, images, spec))


def _reads_units(spec: FitSpec) -> bool:
    solver = _solve(spec).solver
    return isinstance(solver, Mixer) or (solver is not None and solver.reads == "units")


def _widths(network: Network, spec: FitSpec, context: Context) -> dict[int, int]:
    """Numbers that each unit puts out, pooled, of those that a classifier is made of. A unit that puts out no tensor is
    left out."""
    solver = _solve(spec).solver
    assert isinstance(solver, Mixer)
    blank = modalities.of(spec.pipeline).handling().blank(spec.pipeline, 1, str(context.device))
    with torch.no_grad(), in_eval_mode(network.module), watched(network, units=True) as seen:
        network.module(blank)
    found = seen.layers(network.num_units)
    return {unit: found[unit].shape[1] for unit in solver.read(sorted(found))}


def _row(seen: Seen, network: Network, solve: Solve) -> Tensor:
    """What a classifier is made of, of one batch. [B, D]"""
    if isinstance(solve.solver, Mixer):
        found = seen.layers(network.num_units)
        return torch.cat([found[unit] for unit in solve.solver.read(sorted(found))], 1)
    return seen.row() if solve.solver is not None and solve.solver.reads == "units" else seen.features[0]


def _features(matrix: _Matrix, images: Examples, spec: FitSpec) -> Tensor:
    """What reaches the classifier, the network in evaluation and the images as they are. [n, D]"""
    network = matrix.begin.network
    rows: list[Tensor] = []
    with torch.no_grad(), in_eval_mode(network.module):
        for begin in range(0, len(images), BATCH):
            index = torch.arange(begin, min(begin + BATCH, len(images)))
            inputs = matrix.stage.plain.batches([Share(images, index)])
            with watched(network, units=_reads_units(spec)) as seen, arithmetic(images.device, spec.training.precision):
                matrix.stage.live(*(value[0] for value in inputs))
            rows.append(_row(seen, network, _solve(spec)))
    return torch.cat(rows)


def _deployed_features(matrix: _Matrix, images: Examples, spec: FitSpec) -> Tensor:
    """What reaches the classifier where the network is used in another way. [n, D]"""
    network = matrix.begin.network

    def features_of(inputs: Tensor) -> Tensor:
        with watched(network, units=_reads_units(spec)) as seen:
            network.module(inputs)
        return _row(seen, network, _solve(spec))

    return as_deployed(spec, network.module, images, features_of, len(matrix.images))


def _cost(spec: FitSpec, matrix: _Matrix, context: Context, spent: Measured, shared_by: int = 1) -> Cost:
    num, width = matrix.features.shape
    num_classes = spec.data.num_classes
    module = matrix.begin.network.module
    with in_eval_mode(module):
        blank = modalities.of(spec.pipeline).handling().blank(spec.pipeline, 1, str(context.device))
        forward = forward_flops(module, (blank,))
    rank = min(num, width)
    decomposed = 2 * num * width * rank + 9 * rank**3  # the counter does not see eigendecompositions
    solving = 2 * num * width * num_classes if _solve(spec).form == "prototypes" else decomposed
    logical = Logical(
        steps=0,
        samples=round(num / shared_by),
        trainable_params=num_classes * (width + 1) + (len(matrix.widths) if len(matrix.widths) > 1 else 0),
        total_params=sum(p.numel() for p in module.parameters()),
        flops=round((forward * num + solving) / shared_by),
    )
    why = {"whole": matrix.stage.whole} if matrix.stage.whole else {}
    how = EngineUse(frozen=[matrix.stage.frozen], forms=[_solve(spec).form], replicas=1, **why)
    return Cost(logical=logical, measured=spent, engine=how)


def _point(penalty: float) -> dict[str, float | None]:
    return {"lr": None, "weight_decay": None, "penalty": penalty}


def _spec(job: Job) -> FitSpec:
    assert isinstance(job.spec, FitSpec)
    return job.spec


def _solve(spec: FitSpec) -> Solve:
    assert spec.recipe.solve is not None
    return spec.recipe.solve
