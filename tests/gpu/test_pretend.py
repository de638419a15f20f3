"""The pretend device refuses what a GPU refuses, counts what costs there; and what trainings cost, so counted."""

import pytest
import torch
from torch.nn import functional as F

from bench.engine.train.examples import Examples
from bench.engine.train.loop import CHECK_EVERY, train
from bench.modalities.sending import sent
from tests.conftest import TinyOptions, tiny_load
from tests.engine import toys
from tests.gpu.pretend import DEVICE, pretend_device

LENGTHS = (CHECK_EVERY, 3 * CHECK_EVERY)


def test_devices_that_disagree_are_an_error_even_where_it_is_caught():
    def mixed():
        with pretend_device():
            there = torch.ones(3, device=DEVICE)
            assert (there * torch.tensor(2.0)).sum().item() == 6  # a number of the CPU will do
            for wrong in (
                lambda: there + torch.ones(3),
                lambda: torch.cat([there, torch.ones(3)]),
                lambda: torch.ones(3)[torch.tensor([0], device=DEVICE)],
                lambda: F.linear(torch.ones(1, 3), there.view(1, 3)),
            ):
                with pytest.raises(RuntimeError, match="same device"):
                    wrong()
            assert there[[0, 2]].tolist() == [1, 1]
            there[[1]] = 7
            assert there.tolist() == [1, 7, 1] == there.new_tensor([1, 7, 1]).tolist()
            with pytest.raises(TypeError, match="cpu"):
                there.numpy()

    with pytest.raises(AssertionError, match="cuda:0 and cpu"):
        mixed()
    assert torch.ones(1).device.type == "cpu"


@pytest.mark.parametrize(("does", "waits"), [
    (lambda x: x.sum().item(), 1), (lambda x: x.tolist(), 1), (lambda x: x.cpu(), 1),
    (lambda x: bool((x > 0).any()), 1), (lambda x: x[x > 0], 1), (lambda x: x.nonzero(), 1),
    (lambda x: x[torch.tensor([0])], 1), (float, 1), (lambda x: torch.tensor([1.0], device=x.device), 1),
    (lambda x: torch.ones(2).to(x.device), 1),
    (lambda x: x.copy_(torch.ones(1)), 1), (lambda x: torch.cuda.synchronize(), 1),
    (lambda x: sent(torch.ones(2), x.device), 0), (lambda x: torch.zeros(2, device=x.device) + 1, 0),
    (lambda x: x.double().to(x.device), 0), (lambda x: (x * x).sum(), 0),
])  # fmt: skip
def test_each_wait_is_counted_once(does, waits):
    with pretend_device() as tally:
        x = torch.ones(1, device=DEVICE, requires_grad=False)
        does(x)
    assert tally.waits.total() == waits, tally.table()


def test_gradients_autocast_and_modules_stay_there():
    with pretend_device():
        net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.Flatten(), torch.nn.Linear(16, 2))
        weight = net[0].weight
        net.to(DEVICE, memory_format=torch.channels_last)
        assert net[0].weight is weight  # as on a GPU
        with torch.autocast("cuda", torch.bfloat16):
            logits = net(torch.randn(5, 3, 4, 4, device=DEVICE))
        assert logits.dtype == torch.bfloat16
        F.cross_entropy(logits.float(), torch.zeros(5, dtype=torch.int64, device=DEVICE)).backward()
        assert {(p.grad.device, p.grad.dtype) for p in net.parameters()} == {(DEVICE, torch.float32)}


def _waits(steps, **changes):
    """Of a training that is scored once, at its end."""
    with pretend_device() as tally:
        net = toys.network()
        net.module.to(DEVICE)
        data = tiny_load(TinyOptions())
        images, test = (Examples.on_device(split, DEVICE) for split in (data.train, data.test))
        what = {"steps": steps, "evaluations": 1, **changes}
        train(net, toys.assignment(toys.recipe("full_finetune", 6), what, images=images, scored=test))
    return tally


@pytest.mark.parametrize("changes", [
    {}, {"optimizer": "adamw", "precision": "bf16", "flip": True, "shift": 1, "crop": 0.5},
    {"flip": True, "shift": 1, "crop": 0.5, "views": 3},
], ids=["plain", "adamw, bf16, random changes", "views"])  # fmt: skip
@pytest.mark.usefixtures("tiny")
def test_a_training_waits_once_in_so_many_steps_as_it_looks_at_its_loss(changes):
    short, long = (_waits(steps, **changes) for steps in LENGTHS)
    more = long.waits - short.waits
    assert more.total() == (LENGTHS[1] - LENGTHS[0]) / CHECK_EVERY, long.table()
    assert long.copies.total() >= LENGTHS[1]  # indices, at the least, which wait for nothing
