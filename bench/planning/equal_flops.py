"""Equal FLOPs: how many steps of each training cost as much as the suite says (`training.flops`).

What a step costs in each phase depends on the network and on what the strategy trains, and only torch can count it: a
fork of the workers' server does so, once for each kind of training, and the cache keeps it.
"""

import contextlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from bench import fork_server, strategies
from bench.errors import BenchError, NotApplicable
from bench.keys import digest
from bench.planning.resolve import ResolvedBackbone, ResolvedStrategy, pipeline
from bench.planning.settings import head_of, steps_of
from bench.planning.tasks import Task
from bench.provenance import version_of
from bench.spec.recipe import Recipe
from bench.spec.refs import BackboneRef, NewHead, Weights
from bench.store.remembered import recall, remember
from bench.suite.numbers import MOST
from bench.suite.schema import HeadSpec, Suite
from bench.text import note

COUNTING = 2  # bumped when FLOPs are counted otherwise: older answers are asked again
Pair = tuple[ResolvedBackbone, ResolvedStrategy]
Costs = tuple[float, ...]  # FLOPs of a step, forward and backward, by phase


@dataclass(frozen=True)
class Kind:
    """A training, as far as the cost of its steps depends on it."""

    backbone: BackboneRef
    num_classes: int
    head: NewHead
    recipe: Recipe
    pipeline: Any
    batch_size: int

    @cached_property
    def key(self) -> str:
        return digest([COUNTING, _libraries(), self.backbone, self.num_classes, self.head, self.recipe, self.pipeline,
                       self.batch_size])  # fmt: skip


@cache
def _libraries() -> list[str | None]:
    return [version_of(name) for name in ("torch", "timm", "torchvision", "transformers")]


class EqualFlops:
    """What all trainings of a plan may cost, and the steps that this comes to."""

    def __init__(self, suite: Suite, trainings: Iterable[tuple[Task, Pair, int]], kept: Path) -> None:
        """`trainings`: with the number of examples that each learns. `kept`: the cache."""
        self._suite = suite
        self._kinds: dict[tuple[str, ...], tuple[Kind, Kind]] = {}  # its own, and full fine-tuning's
        for task, (backbone, strategy), num_learned in trainings if suite.training.flops is not None else ():
            own = self._kind(task, backbone, (strategy.recipe, strategy.spec.head), num_learned)
            whole = self._kind(task, backbone, (_everything(backbone), None), num_learned)
            self._kinds[_name(task, backbone, strategy)] = own, whole
        self._costs = _costs({kind.key: kind for both in self._kinds.values() for kind in both if kind.recipe.trains},
                             kept)  # fmt: skip

    def _kind(
        self, task: Task, backbone: ResolvedBackbone, how: tuple[Recipe, HeadSpec | None], num_learned: int
    ) -> Kind:
        recipe, head = how
        return Kind(
            backbone.ref(Weights("random")),  # which weights changes no cost
            task.dataset.facts.num_classes,
            head_of(self._suite, head, recipe),
            recipe,
            pipeline(backbone.spec, backbone.facts, task.dataset.facts),
            min(self._suite.training.batch_size, num_learned),
        )

    def steps(self, task: Task, pair: Pair, num_learned: int) -> int:
        """Raises BenchError where the budget is no sensible number of steps."""
        training, (backbone, strategy) = self._suite.training, pair
        usual, length = steps_of(training, num_learned), strategy.recipe.length
        both = self._kinds.get(_name(task, backbone, strategy))
        costs = self._costs.get(both[0].key, ()) if both is not None else ()
        if both is None or not costs:  # steps are equal, or nothing is trained
            return max(1, round(usual * length))
        budget = training.flops
        if not isinstance(budget, float):
            budget = spent(both[1].recipe, self._costs[both[1].key], usual)
        try:
            return steps_for(strategy.recipe, costs, budget * length)
        except BenchError as error:
            raise BenchError(f"{strategy.label!r} on {backbone.label!r}: {error}") from error


def _name(task: Task, backbone: ResolvedBackbone, strategy: ResolvedStrategy) -> tuple[str, ...]:
    return task.dataset.label, task.budget.text, backbone.label, strategy.label


def _everything(backbone: ResolvedBackbone) -> Recipe:
    entry = strategies.find("full_finetune")
    return entry.build(entry.options(), len(backbone.facts.unit_names))


def _costs(kinds: Mapping[str, Kind], kept: Path) -> dict[str, Costs]:
    """By key; () where a strategy does not apply to the network, which others tell."""
    found = {key: recall(kept / "flops" / f"{key}.json") for key in kinds}
    asked: dict[str, dict[str, Kind]] = {}
    for key, kind in kinds.items():
        if found[key] is None:
            asked.setdefault(digest(kind.backbone), {})[key] = kind
    for part in asked.values():  # each network's are kept before the next one's are counted
        note(f"counting the FLOPs of {next(iter(part.values())).backbone.name}, trained in {len(part)} ways; once")
        for key, costs in fork_server.ask("counting FLOPs", _count, part).items():
            found[key] = costs
            remember(kept / "flops" / f"{key}.json", costs)
    return {key: tuple(costs) for key, costs in found.items()}


def _count(kinds: Mapping[str, Kind]) -> dict[str, list[float]]:
    """In the other process, of one architecture."""
    from bench.network.build import adapted, build_network
    from bench.network.flops import FlopCounts, phase_flops

    counted: dict[str, list[float]] = {}
    by_network: dict[str, list[str]] = {}
    for key, kind in kinds.items():
        by_network.setdefault(digest([kind.num_classes, kind.head, kind.recipe.adapt]), []).append(key)
    for keys in by_network.values():
        first = kinds[keys[0]]
        known: FlopCounts = {}
        with contextlib.redirect_stderr(io.StringIO()):  # timm warns of names that it has given up
            network = build_network(first.backbone, first.num_classes, 0, first.head)
            with contextlib.suppress(NotApplicable):
                if first.recipe.adapt is not None:
                    network = adapted(network, first.recipe.adapt, (first.backbone.units, 0))
                for key in keys:
                    counted[key] = []
                    recipe, takes, size = kinds[key].recipe, kinds[key].pipeline, kinds[key].batch_size
                    with contextlib.suppress(NotApplicable):
                        counted[key] = [phase_flops(network, recipe, takes, (phase, size), known)
                                        for phase in range(len(recipe.phases))]  # fmt: skip
    return {key: counted.get(key, []) for key in kinds}


def spent(recipe: Recipe, costs: Costs, steps: int) -> float:
    return sum(costs[number] * (end - start) for number, start, end in recipe.numbered_phases(steps))


def steps_for(recipe: Recipe, costs: Costs, budget: float) -> int:
    """As many as come nearest to the budget. Raises BenchError where it does not pay for half a step, or for more steps
    than anybody waits for."""
    least, most = 0, MOST
    if spent(recipe, costs, most) <= budget:
        raise BenchError(f"{budget:.3g} FLOPs pay for over {MOST:,} steps")
    while most - least > 1:  # `least` steps are within the budget, `most` are not
        middle = (least + most) // 2
        least, most = (middle, most) if spent(recipe, costs, middle) <= budget else (least, middle)
    under, over = (abs(spent(recipe, costs, steps) - budget) for steps in (least, most))
    nearest = least if under <= over else most
    if not nearest:
        raise BenchError(f"{budget:.3g} FLOPs are less than half a step, which costs {spent(recipe, costs, 1):.3g}")
    return nearest
