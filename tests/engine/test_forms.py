"""Every form computes what each replica would compute alone: logits, gradients, running statistics."""

import copy
import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from bench.engine.fleet.forms import head_form, losses, vmap_form
from bench.engine.fleet.stacked import Hypers, StackedOptimizer, keep_members, slots_of
from bench.engine.reuse.cut import cut
from bench.engine.train.optimize import Hyper, make_optimizer, set_rates
from bench.engine.train.precision import arithmetic, full
from bench.network.units import cut_into_units
from bench.spec.recipe import Learning
from tests.engine import toys
from tests.engine.replicas import CLASSES, FORMS, Replicas, TwoInputs, batch, case, close, small_resnet

SHAPES = [(1, 1), (1, 4), (3, 2)]
HAS = [
    ("linear", "head"), ("linear", "vmap"), ("resnet8", "vmap"), ("small_resnet", "vmap"), ("vit", "vmap"),
    ("pooled_mlp", "vmap"),
]  # fmt: skip


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("network", "form"), HAS)
def test_all_replicas_at_once_are_each_alone(network, form, shape, training):
    replicas, x, y = case(network, shape)
    for one in (replicas.module, *(one for row in replicas.plain for one in row)):
        one.train(training)
    made = FORMS[form](replicas.module, (x[0],))
    replicas.check(made, x, y)
    replicas.check(made, x.flip(1), y, smoothing=0.0)  # again: statistics go on from where they are


def test_a_larger_network_of_timm():
    replicas, x, y = case("resnet18", (1, 2), frozen=("layer4",))
    replicas.check(vmap_form(replicas.module, (x[0],)), x, y)


FROZEN = [
    ("resnet8", ("0", "1")), ("resnet8", ("0", "1", "3", "4.conv1")), ("small_resnet", ("stem", "stages.0")),
    ("vit", ("patch_embed", "pos_embed", "cls_token", "blocks.0")), ("pooled_mlp", ("0",)), ("pooled_mlp", ("3", "8")),
    ("resnet8", tuple("01234567")), ("resnet8", ("5", "8")),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("network", "frozen"), FROZEN)
def test_what_is_frozen_is_shared(network, frozen, shape):
    replicas, x, y = case(network, shape, frozen=frozen)
    before = {name: tensor.clone() for name, tensor in replicas.module.state_dict().items()}
    replicas.check(vmap_form(replicas.module, (x[0],)), x, y)
    assert all(torch.equal(tensor, before[name]) for name, tensor in replicas.module.state_dict().items())
    assert all(p.grad is None for p in replicas.module.parameters())


@pytest.mark.parametrize("shape", SHAPES)
def test_a_trained_norm_may_come_first_of_all(shape):
    """Its input is shared, its statistics are not."""
    module = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, CLASSES))
    replicas = Replicas(module, shape)
    x, y = batch(shape, (6, 3, 4, 4))
    replicas.check(vmap_form(module, (x[0],)), x, y)


@pytest.mark.parametrize("shape", SHAPES)
def test_several_inputs(shape):
    module = TwoInputs()
    replicas = Replicas(module, shape)
    (x, _), (more, _) = batch(shape, (6, 3, 2, 2)), batch(shape, (6, 3, 2, 2), 1)
    kept = more.clone()
    logits = vmap_form(module, (x[0], more[0])).logits(replicas.parameters, {}, (x, more))
    for s, row in enumerate(replicas.plain):
        for m, one in enumerate(row):
            close(logits[s, m], one(x[s], more[s]))
    assert torch.equal(more, kept)
    assert head_form(module, (x[0], more[0])) is None


def test_a_head_without_a_bias_or_with_frozen_weights():
    x, y = batch((2, 3), (6, 12))
    without = nn.Linear(12, CLASSES, bias=False)
    Replicas(without, (2, 3)).check(head_form(without), x, y)
    for frozen in ("weight", "bias"):
        replicas = Replicas(nn.Linear(12, CLASSES), (2, 3), frozen=(frozen,))
        replicas.check(head_form(replicas.module), x, y)


def test_a_head_on_what_is_kept_of_a_network():
    """The live part of a probe is its linear layer, whatever lies before it."""
    x, y = batch((2, 3), (6, 3, 16, 16))
    network = cut_into_units(small_resnet().double(), coarse=True)
    network.set_active(Learning(tuple(unit == network.num_units - 1 for unit in range(network.num_units))))
    found = cut(network, x[0])
    features = torch.stack([found.static(one)[0] for one in x])
    frozen = tuple(name for name, _ in network.module.named_children() if not name.startswith("head"))
    replicas = Replicas(network.module, (2, 3), frozen=frozen)
    logits = head_form(found.live).logits(replicas.parameters, {}, (features,))
    for s, row in enumerate(replicas.plain):
        for m, one in enumerate(row):
            close(logits[s, m], one(x[s]))
    assert head_form(network.module) is None


LOST = [(math.nan, torch.float32), (math.inf, torch.float32), (math.nan, torch.float64)]


@pytest.mark.parametrize(("spoilt", "dtype"), LOST)
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize(("network", "form"), [*HAS, ("wide", "vmap")])
def test_a_lost_replica_spoils_no_other(network, form, shape, dtype, spoilt):
    replicas, x, y = case(network, shape)
    module, x = replicas.module.to(dtype), x.to(dtype)
    made = FORMS[form](module, (x[0],))
    results = []
    for bad in (False, True):
        parameters = {name: p.detach().clone().to(dtype) for name, p in replicas.parameters.items()}
        buffers = {name: cast(b.clone(), dtype) for name, b in replicas.buffers.items()}
        for parameter in parameters.values():
            if bad:
                parameter[-1, 1] = spoilt
            parameter.requires_grad_()
        each = losses(made.logits(parameters, buffers, (x,)), y, 0.1)
        each.sum().backward()
        results.append([each.detach(), *(p.grad for p in parameters.values()), *buffers.values()])
    others = torch.ones(shape, dtype=torch.bool)
    others[-1, 1] = False
    assert results[1][0][-1, 1].isnan()
    for good, found in zip(*results, strict=True):
        torch.testing.assert_close(found[others], good[others])


def cast(tensor, dtype):
    return tensor.to(dtype) if tensor.is_floating_point() else tensor


def apart(one, other):
    return (one - other).norm() / other.norm()


@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize(("network", "form"), HAS)
def test_low_precision_is_as_near_to_full_as_the_plain_loops(network, form, shape):
    """Logits, gradients and statistics; and nearer to the plain loop's than that is to full precision, or about so."""
    replicas, x, y = case(network, shape)
    module, x = replicas.module.float(), x.float()
    plain = [[one.float() for one in row] for row in replicas.plain]
    found = {}
    for name, precision in (("fp32", "fp32"), ("bf16", "bf16"), ("fleet", "bf16")):
        parameters = {name: p.detach().float().clone().requires_grad_() for name, p in replicas.parameters.items()}
        buffers = {name: cast(b, torch.float32).clone() for name, b in replicas.buffers.items()}
        with arithmetic(x.device, precision):
            if name == "fleet":
                made = FORMS[form](module, (x[0],))
                losses(full(made.logits(parameters, buffers, (x,))), y, 0.1).sum().backward()
                logits = made.logits(parameters, {name: b.clone() for name, b in buffers.items()}, (x,))
            else:
                alone = [[copy.deepcopy(one) for one in row] for row in plain]
                each = [torch.stack([full(one(x[s])) for one in row]) for s, row in enumerate(alone)]
                losses(torch.stack(each), y, 0.1).sum().backward()
                for key, p in parameters.items():
                    p.grad = torch.stack([torch.stack([one.get_parameter(key).grad for one in r]) for r in alone])
                for key, b in buffers.items():
                    b.copy_(torch.stack([torch.stack([one.get_buffer(key) for one in r]) for r in alone]))
                logits = torch.stack([torch.stack([one(x[s]) for one in r]) for s, r in enumerate(alone)])
        gradients = torch.cat([p.grad.flatten() for p in parameters.values()])
        moved = torch.cat([b.flatten().float() for b in buffers.values()]) if buffers else torch.ones(1)
        found[name] = (logits.detach().float(), gradients, moved)
        assert {p.grad.dtype for p in parameters.values()} == {torch.float32}
    for exact, alone, fleet in zip(*found.values(), strict=True):
        rounding = apart(alone, exact)
        assert apart(fleet, exact) <= 1.5 * rounding
        assert apart(fleet, alone) <= 2 * rounding
    assert apart(found["fleet"][0], found["fp32"][0]) > 1e-4  # it was really low


class Products(TorchDispatchMode):
    """Of which kind the products of weights are."""

    def __init__(self):
        super().__init__()
        self.kinds = set()

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        found = operation(*args, **(kwargs or {}))
        if operation.overloadpacket.__name__ in ("convolution", "mm", "bmm", "addmm", "baddbmm"):
            self.kinds.add(found.dtype)
        return found


@pytest.mark.parametrize(("network", "form"), [one for one in HAS if one[0] != "vit"])
def test_in_low_precision_all_products_are_low(network, form):
    """Under vmap autocast itself leaves convolutions as they are. Attention's form on a CPU is in full precision."""
    replicas, x, _ = case(network, (1, 2))
    module, x = replicas.module.float(), x.float()
    parameters = {name: p.detach().float() for name, p in replicas.parameters.items()}
    buffers = {name: cast(b, torch.float32) for name, b in replicas.buffers.items()}
    with torch.no_grad(), arithmetic(x.device, "bf16"):
        made = FORMS[form](module, (x[0],))
        with Products() as seen:
            made.logits(parameters, buffers, (x,))
    assert seen.kinds == {torch.bfloat16}


def test_attention_in_one_function_of_torchs_has_no_form_in_low_precision():
    """Nobody could cast what it multiplies inside."""

    class Attending(nn.Module):
        def __init__(self):
            super().__init__()
            self.attention, self.head = nn.MultiheadAttention(8, 2, batch_first=True), nn.Linear(8, 3)

        def forward(self, x):
            return self.head(self.attention(x, x, x, need_weights=False)[0].mean(1))

    module, x = Attending(), torch.randn(4, 5, 8)
    assert FORMS["vmap"](module, (x,)) is not None
    with arithmetic(x.device, "bf16"):
        assert FORMS["vmap"](module, (x,)) is None


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("classes_inside", [True, False])
def test_losses_are_torchs(smoothing, classes_inside):
    logits = torch.randn(2, 3, 7, CLASSES, dtype=torch.float64)
    if not classes_inside:
        logits = logits.transpose(2, 3).contiguous().transpose(2, 3)
    labels = torch.randint(0, CLASSES, (2, 7))
    found = losses(logits, labels, smoothing)
    assert found.shape == (2, 3)
    for s in range(2):
        for m in range(3):
            expected = F.cross_entropy(logits[s, m], labels[s], label_smoothing=smoothing)
            torch.testing.assert_close(found[s, m], expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_whole_training_with_its_optimizer(tiny, optimizer):
    """Twelve steps, units that freeze and thaw, members that leave half-way."""
    shape, lrs, decays = (2, 3), [[0.05, 0.01, 0.1], [0.02, 0.03, 0.003]], [[0.0, 0.1, 0.01], [0.1, 0.0, 0.2]]
    training = dataclasses.replace(toys.TRAINING, optimizer=optimizer)
    net = toys.network("toy_conv")
    replicas = Replicas(net.module, shape)
    nets = [[copy.deepcopy(net) for _ in row] for row in replicas.plain]
    for s, row in enumerate(nets):
        for m, one in enumerate(row):
            one.module.load_state_dict(replicas.plain[s][m].state_dict())
    optimizers = [
        [make_optimizer(one, training, Hyper(lr, wd)) for one, lr, wd in zip(*rows, strict=True)]
        for rows in zip(nets, lrs, decays, strict=True)
    ]
    hypers = Hypers(torch.tensor(lrs, dtype=torch.float64), torch.tensor(decays, dtype=torch.float64))
    stacked = StackedOptimizer(replicas.parameters, slots_of(net), training, hypers)
    for step in range(12):
        active = tuple(unit >= (3, 0, 4)[step // 4] for unit in range(net.num_units))
        net.set_active(Learning(active))
        for name, parameter in stacked.parameters.items():
            parameter.requires_grad_(active[stacked.slots[name].unit])
        x, y = batch(shape, (6, 3, 8, 8), step)
        made = vmap_form(net.module, (x[0],))
        losses(made.logits(stacked.parameters, replicas.buffers, (x,)), y % 3, 0.1).sum().backward()
        rates = tuple(on * (1 - step / 12) for on in active)
        stacked.step(rates)
        for s, (row, own) in enumerate(zip(nets, optimizers, strict=True)):
            for m, (one, optimizer_of_one) in enumerate(zip(row, own, strict=True)):
                one.set_active(Learning(active))
                set_rates(optimizer_of_one, rates, lrs[s][m])
                optimizer_of_one.zero_grad()
                F.cross_entropy(one.module(x[s]), y[s] % 3, label_smoothing=0.1).backward()
                optimizer_of_one.step()
        if step == 6:
            kept = [[2, 0], [0, 1]]
            stacked.keep(torch.tensor(kept))
            replicas.buffers = {name: keep_members(b, torch.tensor(kept)) for name, b in replicas.buffers.items()}
            nets, optimizers, lrs = ([[row[m] for m in k] for row, k in zip(rows, kept, strict=True)]
                                     for rows in (nets, optimizers, lrs))
    for s, row in enumerate(nets):
        for m, one in enumerate(row):
            state = one.module.state_dict()
            for name, tensor in {**stacked.parameters, **replicas.buffers}.items():
                torch.testing.assert_close(tensor[s, m].detach(), state[name], rtol=1e-6, atol=1e-9)
