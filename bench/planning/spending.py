"""Equal FLOPs: how many steps of each training cost as much as the suite says (`training.flops`).

What an example costs in each phase depends on the network and on what the strategy trains, and only torch can count it:
a fork of the workers' server does so, once for each kind of training, and the cache keeps it.
"""

import contextlib
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bench import fork_server, strategies
from bench.errors import BenchError, NotApplicable
from bench.keys import digest
from bench.planning.resolve import ResolvedBackbone, ResolvedStrategy, pipeline
from bench.planning.settings import head_of, steps_of
from bench.planning.tasks import Task
from bench.spec.recipe import Recipe
from bench.spec.refs import BackboneRef, NewHead, Weights
from bench.store.remembered import recall, remember
from bench.suite.numbers import MOST
from bench.suite.schema import HeadSpec, Suite
from bench.text import note

COUNTING = 1  # bumped when FLOPs are counted otherwise: older answers are asked again
Pair = tuple[ResolvedBackbone, ResolvedStrategy]
PerExample = tuple[float, ...]  # FLOPs of a step, forward and backward, by phase


@dataclass(frozen=True)
class Kind:
    """A training, as far as an example's cost depends on it."""

    backbone: BackboneRef
    num_classes: int
    head: NewHead
    recipe: Recipe
    pipeline: Any

    @property
    def key(self) -> str:
        return digest([COUNTING, version("torch"), version("timm"), self])


class Purse:
    """What each training of a plan may spend, and the steps that this pays for."""

    def __init__(self, suite: Suite, found: Iterable[tuple[Task, Pair]], cache: Path) -> None:
        self._suite = suite
        every = [self._kind(task, backbone, *how)
                 for task, (backbone, strategy) in (found if suite.training.flops is not None else ())
                 for how in ((strategy.recipe, strategy.spec.head), (_everything(backbone), None))]
        self._prices = _prices({kind.key: kind for kind in every if kind.recipe.trains}, cache)

    def _kind(self, task: Task, backbone: ResolvedBackbone, recipe: Recipe, head: HeadSpec | None) -> Kind:
        return Kind(
            backbone.ref(Weights("random")),  # which weights changes no cost
            task.dataset.facts.num_classes,
            head_of(self._suite, head, recipe),
            recipe,
            pipeline(backbone.spec, backbone.facts, task.dataset.facts),
        )

    def steps(self, task: Task, pair: Pair, num_learned: int) -> int:
        """Of a training on so many examples. Raises BenchError where its budget is no sensible number of steps."""
        training, (backbone, strategy) = self._suite.training, pair
        usual, recipe = steps_of(training, num_learned), strategy.recipe
        if training.flops is None:
            return max(1, round(usual * recipe.length))
        whole = _everything(backbone)
        price = self._prices[self._kind(task, backbone, whole, None).key]
        assert price, "every network can train all of itself"
        batch_size = min(training.batch_size, num_learned)
        budget = training.flops
        if budget == "full_finetune":
            budget = spent(whole, price, usual, batch_size)
        own = self._prices[self._kind(task, backbone, recipe, strategy.spec.head).key] if recipe.trains else ()
        if not own:  # nothing is trained
            own, recipe = price, whole
        try:
            return steps_for(recipe, own, budget * recipe.length, batch_size)
        except BenchError as error:
            raise BenchError(f"{strategy.label!r} on {backbone.label!r}: {error}") from error


def _everything(backbone: ResolvedBackbone) -> Recipe:
    entry = strategies.find("full_finetune")
    return entry.build(entry.options(), len(backbone.facts.unit_names))


def _prices(kinds: Mapping[str, Kind], cache: Path) -> dict[str, PerExample]:
    """By key; () where a strategy does not apply to the network, which others tell."""
    found = {key: recall(cache / "flops" / f"{key}.json") for key in kinds}
    unknown = {key: kinds[key] for key, price in found.items() if price is None}
    if unknown:
        note(f"counting the FLOPs of trainings, {len(unknown)} of them; once")
        for key, price in fork_server.ask("counting FLOPs", _count, unknown).items():
            found[key] = price
            remember(cache / "flops" / f"{key}.json", price)
    return {key: tuple(price) for key, price in found.items()}


def _count(kinds: Mapping[str, Kind]) -> dict[str, list[float]]:
    """In the other process."""
    from bench.network.build import adapted, build_network
    from bench.network.flops import example_flops

    def count(kind: Kind) -> list[float]:
        recipe = kind.recipe
        network = build_network(kind.backbone, kind.num_classes, 0, kind.head)
        try:
            if recipe.adapt is not None:
                network = adapted(network, recipe.adapt, (kind.backbone.units, 0))
        except NotApplicable:
            return []
        known: dict[Any, int] = {}
        return [example_flops(network, recipe, kind.pipeline, phase, known) for phase in range(len(recipe.phases))]

    with contextlib.redirect_stderr(io.StringIO()):  # timm warns of names that it has given up
        return {key: count(kind) for key, kind in kinds.items()}


def spent(recipe: Recipe, price: PerExample, steps: int, batch_size: int) -> float:
    return sum(price[number] * (end - start) for number, start, end in recipe.numbered_phases(steps)) * batch_size


def steps_for(recipe: Recipe, price: PerExample, budget: float, batch_size: int) -> int:
    """As many as come nearest to the budget. Raises BenchError where it does not pay for half a step, or for more steps
    than anybody waits for."""
    least, most = 0, MOST
    if spent(recipe, price, most, batch_size) <= budget:
        raise BenchError(f"{budget:.3g} FLOPs pay for over {MOST:,} steps")
    while most - least > 1:  # `least` steps are within the budget, `most` are not
        middle = (least + most) // 2
        least, most = (middle, most) if spent(recipe, price, middle, batch_size) <= budget else (least, middle)
    under, over = (abs(spent(recipe, price, steps, batch_size) - budget) for steps in (least, most))
    nearest = least if under <= over else most
    if not nearest:
        raise BenchError(f"{budget:.3g} FLOPs are less than half a step, which costs "
                         f"{spent(recipe, price, 1, batch_size):.3g}")
    return nearest
