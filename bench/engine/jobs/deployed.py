"""Test images given to a trained network in another way than it was trained for: a mistake made on purpose."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from bench.datasets.sampling import shuffled
from bench.engine.train.evaluate import BATCH, Answers, Scored
from bench.engine.train.examples import Examples
from bench.engine.train.faults import is_out_of_memory
from bench.engine.train.precision import arithmetic, full
from bench.keys import seed_for
from bench.network.capture import in_eval_mode
from bench.spec.job import FitSpec


def scored_as_deployed(spec: FitSpec, module: nn.Module, test: Examples, num_labels: int) -> Scored:
    answers = Answers(test)
    answers.add(full(as_deployed(spec, module, test, module, num_labels))[None])
    return answers.scored()[0]


def as_deployed(
    spec: FitSpec, module: nn.Module, test: Examples, run: Callable[[Tensor], Tensor], num_labels: int
) -> Tensor:
    """What `run` makes of the inputs, in the order of the images. [n, ...] `num_labels`: that were trained on."""
    how = spec.deployed
    assert how is not None
    with torch.no_grad(), arithmetic(test.device, spec.training.precision):
        if not how.in_training_mode:
            with in_eval_mode(module):
                return _in_pieces(lambda index: run(_inputs(spec, test.take(index))), test)
        order = _order(spec, test)
        size = min(spec.training.batch_size, num_labels)  # as in the training
        with _in_training_mode(module, seed_for("deployed", spec.seed, spec.repeat)):
            found = [run(_inputs(spec, test.take(part))) for part in _batches(order, size)]
    return torch.cat(found)[order.argsort()]


def _in_pieces(run: Callable[[Tensor], Tensor], test: Examples) -> Tensor:
    """In smaller ones where memory does not suffice: in evaluation no image depends on others."""
    found: list[Tensor] = []
    start, size = 0, BATCH
    while start < len(test):
        index = torch.arange(start, min(start + size, len(test)))
        try:
            found.append(run(index))
        except (RuntimeError, MemoryError) as error:
            if size == 1 or not is_out_of_memory(error):
                raise
            size //= 2
            continue
        start += len(index)
    return torch.cat(found)


def _order(spec: FitSpec, test: Examples) -> Tensor:
    """By class, or mixed: sets may lie class by class as they are stored."""
    assert spec.deployed is not None
    if spec.deployed.by_class:
        return test.labels.cpu().argsort(stable=True)
    order = shuffled(len(test), seed_for("deployed order", spec.seed, spec.repeat))
    return torch.tensor(order)


def _inputs(spec: FitSpec, images: Examples) -> Tensor:
    assert spec.deployed is not None
    return images.inputs(spec.deployed.pipeline or spec.pipeline)


def _batches(order: Tensor, size: int) -> tuple[Tensor, ...]:
    """BatchNorm cannot take a single image, so one that is left over joins the batch before it."""
    parts = torch.split(order, max(2, size))
    if len(parts) > 1 and len(parts[-1]) == 1:
        return (*parts[:-2], torch.cat(parts[-2:]))
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
