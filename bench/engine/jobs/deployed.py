"""Test images given to a trained network in another way than it was trained for: a mistake made on purpose."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.engine.train.evaluate import BATCH, Answers, Scored
from bench.engine.train.examples import Examples
from bench.engine.train.precision import arithmetic, full
from bench.keys import seed_for
from bench.network.capture import in_eval_mode
from bench.spec.job import FitSpec


def scored_as_deployed(spec: FitSpec, module: nn.Module, test: Examples) -> Scored:
    answers = Answers(test)
    answers.add(full(as_deployed(spec, module, test, module))[None])
    return answers.scored()[0]


def as_deployed(spec: FitSpec, module: nn.Module, test: Examples, run: Callable[[Tensor], Tensor]) -> Tensor:
    """What `run` makes of the inputs, in the order of the images. [n, ...]"""
    how = spec.deployed
    assert how is not None
    order = test.labels.argsort(stable=True) if how.by_class else torch.arange(len(test), device=test.device)
    with torch.no_grad(), arithmetic(test.device, spec.training.precision):
        if how.in_training_mode:
            with _in_training_mode(module, seed_for("deployed", spec.seed, spec.repeat)):
                found = [run(_inputs(spec, test.take(part))) for part in _batches(order, spec.training.batch_size)]
        else:
            with in_eval_mode(module):
                found = [run(_inputs(spec, test.take(part))) for part in torch.split(order, BATCH)]
    return torch.cat(found)[order.argsort()]


def _inputs(spec: FitSpec, images: Examples) -> Tensor:
    assert spec.deployed is not None
    return images.inputs(spec.deployed.pipeline or spec.pipeline)


def _batches(order: Tensor, size: int) -> tuple[Tensor, ...]:
    """BatchNorm cannot take a single image, so the last two are evened out."""
    parts = torch.split(order, size)
    if len(parts) > 1 and len(parts[-1]) == 1:
        return (*parts[:-2], *torch.cat(parts[-2:]).tensor_split(2))
    return parts


@contextmanager
def _in_training_mode(module: nn.Module, seed: int) -> Iterator[None]:
    """All of it, as without eval(). Modes, statistics and the global generators are as they were afterwards."""
    modes = {each: each.training for each in module.modules()}
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}
    device = next(module.parameters()).device
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            torch.manual_seed(seed)  # for dropout
            module.train()
            yield
    finally:
        for name, buffer in module.named_buffers():
            buffer.copy_(buffers[name])
        for each, training in modes.items():
            each.training = training
