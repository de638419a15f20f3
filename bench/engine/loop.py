"""The training loop, straight down. It obeys a recipe and never asks which strategy it came from."""

import math
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from bench.backbones.units import Network
from bench.engine.evaluate import Scored, evaluate
from bench.engine.images import Augment, Images, Order, augment, prepare
from bench.engine.optimize import Hyper, make_optimizer, phase_steps, schedule, set_rates
from bench.keys import seed_for
from bench.plan.spec import Pipeline, Training
from bench.strategies.recipe import Recipe

# Steps between looks at the loss: each look waits for the device.
CHECK_EVERY = 25


@dataclass(frozen=True)
class Assignment:
    """All that one training needs beside the network."""

    recipe: Recipe
    training: Training
    hyper: Hyper
    pipeline: Pipeline
    images: Images
    order_seed: int
    scored: Images | None = None  # scored along the way, the last one after the last step
    evaluations: int = 1
    count_flops: bool = False


@dataclass(frozen=True)
class Point:
    step: int
    train_loss: float  # mean since the point before
    accuracy: float
    loss: float | None  # None where it is not finite


@dataclass
class Outcome:
    steps: int = 0
    samples: int = 0
    flops: int = 0
    curve: list[Point] = field(default_factory=list)
    last: Scored | None = None
    diverged_at: int | None = None  # step whose loss was not finite


def train(network: Network, task: Assignment) -> Outcome:
    """Trains the network in place. Stops early only where the loss is no longer finite."""
    module, training, recipe = network.module, task.training, task.recipe
    generator = torch.Generator().manual_seed(task.order_seed)
    torch.manual_seed(seed_for("dropout", task.order_seed))  # dropout draws from the global generator only
    order = Order(len(task.images), training.batch_size, task.order_seed)
    how = Augment(training.flip, training.shift)
    optimizer = make_optimizer(network, training, task.hyper)
    looks = evaluation_steps(training.steps, task.evaluations)
    out = Outcome()
    losses: list[torch.Tensor] = []  # since the last point of the curve

    for phase, start, end in phase_steps(recipe, training.steps):
        network.set_active(tuple(rate > 0 for rate in phase.rates))
        first, length = (start, end - start) if recipe.anneal == "each_phase" else (0, training.steps)
        for step in range(start, end):
            set_rates(optimizer, phase.rates, task.hyper.lr * schedule(training, step - first, length))
            batch = task.images.take(order.next())
            # One step per phase stands for all of it: the work per step does not change within a phase.
            counted = task.count_flops and step == start
            with FlopCounterMode(display=False) if counted else nullcontext() as counter:
                x = prepare(augment(batch.pixels, how, generator), task.pipeline)
                loss = F.cross_entropy(module(x), batch.labels, label_smoothing=training.label_smoothing)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
            if counter is not None:
                out.flops += counter.get_total_flops() * (end - start)
            optimizer.step()
            losses.append(loss.detach())
            out.steps += 1
            out.samples += len(batch)

            last_step = step + 1 == training.steps
            if last_step or out.steps % CHECK_EVERY == 0 or step + 1 in looks:
                values = torch.stack(losses).tolist()
                bad = next((i for i, value in enumerate(values) if not math.isfinite(value)), None)
                if bad is not None:
                    out.diverged_at = step + 1 - len(values) + bad
                    return out
                if step + 1 in looks and task.scored is not None:
                    # The losses lag one step behind the weights. Asked of the batch: what is scored decides nothing.
                    if evaluate(module, batch, task.pipeline).loss is None:
                        out.diverged_at = step
                        return out
                    out.last = evaluate(module, task.scored, task.pipeline)
                    mean = sum(values) / len(values)
                    out.curve.append(Point(step + 1, mean, out.last.accuracy, out.last.loss))
                    losses.clear()
    return out


def evaluation_steps(steps: int, evaluations: int) -> set[int]:
    """Evenly spaced, the last step always among them."""
    looks = min(evaluations, steps)
    return {math.ceil(steps * (i + 1) / looks) for i in range(looks)}
