"""Pretraining inside a suite, against a loop written out here on torch's own optimizers."""

import math

import pytest
import torch
from torch.nn import functional as F

from bench.engine.jobs.perform import perform
from bench.engine.train.examples import Order
from bench.keys import seed_for
from bench.store import blobs
from tests.conftest import TinyOptions, tiny_load
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny", "double")]

BATCH, EPOCHS, RATE, DECAY = 16, 3, 0.02, 0.1


def plain_loop(optimizer_class, **options):
    """The weights at the end: cosine after a warmup of a tenth, weight decay on kernels and matrices alone."""
    split = tiny_load(TinyOptions()).train
    pixels = torch.from_numpy(split.images).permute(0, 3, 1, 2).double() / 255
    pixels, labels = (pixels - 0.5) / 0.5, torch.from_numpy(split.labels)
    module = toys.network(seed=seed_for("pretrain init", 0)).module.train()
    many = [p for p in module.parameters() if p.ndim > 1]
    few = [p for p in module.parameters() if p.ndim <= 1]
    groups = [{"params": many, "weight_decay": DECAY}, {"params": few, "weight_decay": 0.0}]
    optimizer = optimizer_class(groups, lr=RATE, **options)
    order = Order(len(labels), BATCH, seed_for("pretrain order", 0))
    steps = EPOCHS * math.ceil(len(labels) / BATCH)
    warm = round(0.1 * steps)
    for step in range(steps):
        factor = (1 + math.cos(math.pi * (step - warm) / (steps - warm))) / 2
        for group in optimizer.param_groups:
            group["lr"] = RATE * ((step + 1) / (warm + 1) if step < warm else factor)
        batch = torch.from_numpy(order.next())
        optimizer.zero_grad()
        F.cross_entropy(module(pixels[batch]), labels[batch]).backward()
        optimizer.step()
    return module.state_dict()


@pytest.mark.parametrize(("name", "reference", "options"), [
    ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}), ("adamw", torch.optim.AdamW, {}),
])
def test_the_weights_are_those_of_a_plain_loop_with_that_optimizer(tmp_path, name, reference, options):
    from safetensors.torch import load

    context = toys.context(tmp_path)
    job = toys.pretrain_job(optimizer=name, epochs=EPOCHS, batch_size=BATCH, lr=RATE, weight_decay=DECAY, shift=0)
    assert perform(job, context)
    record = context.shared.read(job.key)
    made = load(blobs.get(context.shared.root, record.result["weights_sha256"]))
    for tensor_name, tensor in plain_loop(reference, **options).items():
        torch.testing.assert_close(made[tensor_name], tensor, msg=tensor_name)
