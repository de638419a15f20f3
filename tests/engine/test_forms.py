"""Every form computes what each replica would compute alone: logits, gradients, running statistics; or it is None."""

import copy
import dataclasses
import math

import pytest
import timm
import torch
from torch import fx, nn
from torch.nn import functional as F

from bench.backbones.build import build_network
from bench.engine.forms import head_form, losses, vmap_form
from bench.engine.grouped import grouped_form
from bench.engine.optimize import Hyper, make_optimizer, set_rates
from bench.engine.stacked import Hypers, StackedOptimizer, slots_of
from bench.plan.spec import BackboneRef, Weights
from tests.engine import toys

torch.set_num_threads(1)

CLASSES = 5
SHAPES = [(1, 1), (1, 4), (3, 2)]
FORMS = {"head": head_form, "vmap": vmap_form, "grouped": grouped_form}


class Block(nn.Module):
    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        same = inputs == outputs and stride == 1
        self.shortcut = (
            nn.Identity() if same
            else nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        )  # fmt: skip

    def forward(self, x):
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(y + self.shortcut(x))


def resnet8():
    """CIFAR's, with a quarter of the channels."""
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, 1, 1, bias=False), nn.BatchNorm2d(4), nn.ReLU(inplace=True),
        Block(4, 4, 1), Block(4, 8, 2), Block(8, 16, 2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, CLASSES),
    )  # fmt: skip


def small_resnet():
    ref = BackboneRef("small_resnet", {"width": 4}, "coarse", Weights("random"))
    return build_network(ref, CLASSES, 3).module


def vit(**options):
    from timm.models.vision_transformer import VisionTransformer

    sizes = {"img_size": 8, "patch_size": 4, "embed_dim": 32, "depth": 2, "num_heads": 2}
    return VisionTransformer(**sizes, num_classes=CLASSES, **options)


def resnet18():
    return timm.create_model("resnet18", num_classes=CLASSES)


def pooled_mlp():
    """Parts that the networks above lack: depthwise first, pooling of all sorts, products, a linear layer amid."""
    class Gate(nn.Module):
        def __init__(self):
            super().__init__()
            self.squeeze = nn.Conv2d(6, 6, 1)

        def forward(self, x):
            return x * torch.sigmoid(self.squeeze(x.mean((2, 3), keepdim=True))) * 2

    return nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1, groups=3), nn.Conv2d(3, 6, 1, bias=True), nn.GELU(), Gate(),
        nn.MaxPool2d(3, 2, 1), nn.SiLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(24, 7), nn.BatchNorm1d(7), nn.Tanh(),
        nn.Dropout(0.0), nn.Linear(7, CLASSES, bias=False),
    )  # fmt: skip


def wide():
    """Kernels for many channels differ from those for few."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 3), nn.BatchNorm2d(16), nn.Conv2d(16, 32, 3, groups=2), nn.AdaptiveAvgPool2d((1, 1)),
        nn.Flatten(), nn.Linear(32, CLASSES),
    )  # fmt: skip


NETWORKS = {
    "wide": (wide, (6, 3, 8, 8)),
    "linear": (lambda: nn.Linear(7, CLASSES), (6, 7)),
    "resnet8": (resnet8, (6, 3, 8, 8)),
    "small_resnet": (small_resnet, (6, 3, 16, 16)),
    "resnet18": (resnet18, (4, 3, 32, 32)),
    "vit": (vit, (6, 3, 8, 8)),
    "pooled_mlp": (pooled_mlp, (6, 3, 8, 8)),
}
HAS = [
    ("linear", "head"), ("linear", "vmap"), ("linear", "grouped"), ("resnet8", "vmap"), ("resnet8", "grouped"),
    ("small_resnet", "vmap"), ("small_resnet", "grouped"), ("vit", "vmap"), ("pooled_mlp", "vmap"),
    ("pooled_mlp", "grouped"),
]  # fmt: skip


class Replicas:
    """One network S x M times with weights of their own, except what is frozen: plainly, and as stacked tensors."""

    def __init__(self, module, shape, frozen=()):
        torch.manual_seed(1)
        self.module = module.double().to(memory_format=torch.channels_last)
        for name, child in module.named_modules():
            if name.startswith(tuple(frozen)) and frozen:
                child.eval()
        for name, parameter in module.named_parameters():
            parameter.requires_grad_(not (frozen and name.startswith(tuple(frozen))))
        names = [name for name, parameter in module.named_parameters() if parameter.requires_grad]
        buffers = [name for name, _ in module.named_buffers() if not (frozen and name.startswith(tuple(frozen)))]
        self.plain = [[self.varied(names) for _ in range(shape[1])] for _ in range(shape[0])]
        self.parameters = {name: self.stack(name).requires_grad_() for name in names}
        self.buffers = {name: self.stack(name) for name in buffers}

    def varied(self, names):
        own = copy.deepcopy(self.module)
        with torch.no_grad():
            for name in names:
                own.get_parameter(name).add_(0.1 * torch.randn_like(own.get_parameter(name)))
        return own

    def stack(self, name):
        return torch.stack([torch.stack([one.state_dict()[name].clone() for one in row]) for row in self.plain])

    def check(self, form, x, y, smoothing=0.1):
        """One pass forward and back, on both sides."""
        logits = form.logits(self.parameters, self.buffers, (x,))
        each = losses(logits, y, smoothing)
        for parameter in self.parameters.values():
            parameter.grad = None
        each.sum().backward()
        for s, row in enumerate(self.plain):
            for m, one in enumerate(row):
                one.zero_grad()
                expected = one(x[s])
                loss = F.cross_entropy(expected, y[s], label_smoothing=smoothing)
                loss.backward()
                close(logits[s, m], expected)
                close(each[s, m], loss)
                for name, parameter in self.parameters.items():
                    close(parameter.grad[s, m], one.get_parameter(name).grad)
                for name, buffer in self.buffers.items():
                    close(buffer[s, m], one.get_buffer(name))


def close(found, expected):
    torch.testing.assert_close(found.detach(), expected.detach(), rtol=1e-9, atol=1e-11)


def batch(shape, of_one, seed=0):
    """Images as the engine hands them over: channels_last."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn((shape[0], *of_one), generator=generator, dtype=torch.float64)
    if x.ndim == 5:
        x = x.movedim(2, -1).contiguous().movedim(-1, 2)
    return x, torch.randint(0, CLASSES, (shape[0], of_one[0]), generator=generator)


def case(name, shape=(3, 2), **options):
    make, of_one = NETWORKS[name]
    return Replicas(make(), shape, **options), *batch(shape, of_one)


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


@pytest.mark.parametrize(("form", "frozen"), [("vmap", ("layer4",)), ("grouped", ()), ("grouped", ("layer4", "conv1"))])
def test_a_larger_network_of_timm(form, frozen):
    replicas, x, y = case("resnet18", (1, 2), frozen=frozen)
    replicas.check(FORMS[form](replicas.module, (x[0],)), x, y)


@pytest.mark.parametrize("channels_last", [True, False])
@pytest.mark.parametrize("shape", SHAPES)
def test_both_memory_formats_of_the_grouped_form(shape, channels_last):
    for network in ("resnet8", "pooled_mlp"):
        replicas, x, y = case(network, shape)
        replicas.check(grouped_form(replicas.module, (x[0],), channels_last), x, y)
        replicas.check(grouped_form(replicas.module, (x[0],), channels_last), x.contiguous(), y)


FROZEN = [
    ("resnet8", ("0", "1")), ("resnet8", ("0", "1", "3", "4.conv1")), ("small_resnet", ("stem", "stages.0")),
    ("vit", ("patch_embed", "pos_embed", "cls_token", "blocks.0")), ("pooled_mlp", ("0",)), ("pooled_mlp", ("3", "8")),
    ("resnet8", tuple("01234567")), ("resnet8", ("5", "8")),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize(("network", "frozen"), FROZEN)
def test_what_is_frozen_is_shared(network, frozen, shape):
    for form in ("vmap", "grouped"):
        replicas, x, y = case(network, shape, frozen=frozen)
        before = {name: tensor.clone() for name, tensor in replicas.module.state_dict().items()}
        made = FORMS[form](replicas.module, (x[0],))
        assert (made is None) == (network == "vit" and form == "grouped")
        if made is not None:
            replicas.check(made, x, y)
            assert all(torch.equal(tensor, before[name]) for name, tensor in replicas.module.state_dict().items())
            assert all(p.grad is None for p in replicas.module.parameters())


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", ["vmap", "grouped"])
def test_a_trained_norm_may_come_first_of_all(form, shape):
    """Its input is shared, its statistics are not."""
    module = nn.Sequential(nn.BatchNorm2d(3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(48, CLASSES))
    replicas = Replicas(module, shape)
    x, y = batch(shape, (6, 3, 4, 4))
    replicas.check(FORMS[form](module, (x[0],)), x, y)


class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, maps, more):
        maps = self.conv(maps)
        maps += more
        return self.fc(F.relu(maps).flatten(1))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("form", ["vmap", "grouped"])
def test_several_inputs(form, shape):
    module = TwoInputs()
    replicas = Replicas(module, shape)
    (x, _), (more, _) = batch(shape, (6, 3, 2, 2)), batch(shape, (6, 3, 2, 2), 1)
    kept = more.clone()
    logits = FORMS[form](module, (x[0], more[0])).logits(replicas.parameters, {}, (x, more))
    for s, row in enumerate(replicas.plain):
        for m, one in enumerate(row):
            close(logits[s, m], one(x[s], more[s]))
    assert torch.equal(more, kept)
    assert head_form(module, (x[0], more[0])) is None


def graph_of(module):
    return fx.GraphModule(module, fx.Tracer().trace(module))


def test_a_head_may_be_wrapped():
    linear = nn.Linear(12, CLASSES)
    idle = nn.Dropout(0.5).eval()
    wrapped = [
        linear, nn.Sequential(nn.Identity(), linear), nn.Sequential(idle, linear),
        nn.Sequential(nn.Flatten(), nn.Dropout(0.0), linear, nn.Identity()),
        graph_of(nn.Sequential(nn.Flatten(), linear)),
    ]  # fmt: skip
    x, y = batch((2, 3), (6, 12))
    for module in wrapped:
        replicas = Replicas(module, (2, 3))
        replicas.check(head_form(module, (x[0],)), x, y)
    maps, y = batch((2, 3), (6, 3, 2, 2))
    for module in wrapped[3:]:
        Replicas(module, (2, 3)).check(head_form(module, (maps[0],)), maps, y)
    without = nn.Linear(12, CLASSES, bias=False)
    Replicas(without, (2, 3)).check(head_form(without, (x[0],)), x, y)
    for frozen in ("weight", "bias"):
        replicas = Replicas(nn.Linear(12, CLASSES), (2, 3), frozen=(frozen,))
        replicas.check(head_form(replicas.module, (x[0],)), x, y)


def test_what_is_no_head():
    linear = nn.Linear(4, 4)
    others = [
        nn.Sequential(linear, nn.ReLU()), nn.Sequential(nn.Dropout(0.5), linear), nn.BatchNorm1d(4),
        nn.Sequential(linear, nn.Linear(4, 2)), nn.Sequential(nn.Flatten(0), linear), resnet8(), nn.Identity(),
    ]  # fmt: skip
    assert [head_form(module) for module in others] == [None] * len(others)


def test_a_head_whose_dropout_wakes_up_is_refused():
    module = nn.Sequential(nn.Dropout(0.5), nn.Linear(4, CLASSES)).eval()
    replicas = Replicas(module, (1, 2))
    made = head_form(module)
    module.train()
    with pytest.raises(AssertionError, match="dropout is active"):
        made.logits(replicas.parameters, {}, batch((1, 2), (6, 4))[:1])


class Random(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(4, CLASSES)

    def forward(self, x):
        return self.fc(x + torch.rand_like(x))


class FunctionalDropout(Random):
    def forward(self, x):
        return self.fc(F.dropout(x, 0.5, self.training))


@pytest.mark.parametrize("make", [
    Random, FunctionalDropout, lambda: nn.Sequential(nn.Dropout(0.1), nn.Linear(4, CLASSES)),
    lambda: graph_of(FunctionalDropout()),
])  # fmt: skip
def test_randomness_has_no_form(make, capsys):
    module, x = make(), torch.randn(6, 4)
    state = torch.get_rng_state()
    assert [form(module, (x,)) for form in FORMS.values()] == [None] * 3
    assert torch.equal(torch.get_rng_state(), state) or isinstance(module, Random)
    assert capsys.readouterr().err == ""


def test_dropout_within_attention_and_between_blocks_is_seen():
    x = torch.randn(6, 3, 8, 8)
    for option in ("drop_rate", "pos_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"):
        module = vit(**{option: 0.1})
        assert vmap_form(module, (x,)) is None
        assert vmap_form(module.eval(), (x,)) is not None


class Own(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.conv, self.scale = nn.Conv2d(3, 4, 1), nn.Parameter(torch.ones(4, 1, 1))
        self.norm, self.fc = nn.BatchNorm2d(4), nn.Linear(4, CLASSES)
        self.own = forward

    def forward(self, x):
        return self.own(self, x)


def head_of(self, x):
    return self.fc(x.mean((2, 3)))


def changed_in_place(self, x):
    maps = kept = self.conv(x)
    maps += 1  # torch.fx takes it for a sum that leaves `kept` as it was
    return head_of(self, maps + kept)


@pytest.mark.parametrize("forward", [
    lambda self, x: head_of(self, self.conv(x) * self.scale),
    lambda self, x: head_of(self, torch.cat([self.conv(x), x], 1)[:, :4]),
    lambda self, x: head_of(self, F.layer_norm(self.conv(x), (4, 4))),
    lambda self, x: self.fc(self.conv(x).mean((1, 2))),
    lambda self, x: self.fc(self.conv(x).flatten(2).mean(2)),
    lambda self, x: self.fc(self.conv(x).mean((2, 3)).view(x.shape[0], -1)),
    lambda self, x: head_of(self, self.conv(x) * self.conv(x).mean(1, keepdim=True)),
    lambda self, x: head_of(self, self.conv(x) * self.conv(x).mean((2, 3))),
    lambda self, x: head_of(self, self.conv(x.flip(0))),
    lambda self, x: (head_of(self, self.conv(x)), x),
    lambda self, x: self.conv(x),
    changed_in_place,
    lambda self, x: head_of(self, self.conv(x).add_(1)),
])  # fmt: skip
def test_what_is_not_known_has_no_grouped_form(forward):
    assert grouped_form(Own(forward), (torch.randn(6, 3, 4, 4),)) is None


def test_hooks_have_no_grouped_form():
    module, x = resnet8(), torch.randn(6, 3, 8, 8)
    module[1].register_forward_hook(lambda layer, inputs, output: output * 2)
    assert grouped_form(module, (x,)) is None
    assert vmap_form(module, (x,)) is not None


def replaced(**fields):
    module = Own(lambda self, x: head_of(self, self.norm(self.conv(x))))
    for name, child in fields.items():
        setattr(module, name, child)
    return module


@pytest.mark.parametrize("fields", [
    {"norm": nn.GroupNorm(2, 4)}, {"norm": nn.InstanceNorm2d(4)}, {"norm": nn.BatchNorm2d(4, momentum=None)},
    {"norm": nn.BatchNorm2d(4, track_running_stats=False)}, {"norm": nn.PReLU(4)}, {"norm": nn.Softmax(1)},
    {"conv": nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect")}, {"conv": nn.ConvTranspose2d(3, 4, 1)},
    {"norm": nn.Dropout2d(0.1)}, {"norm": type("Mine", (nn.BatchNorm2d,), {})(4)},
])  # fmt: skip
def test_modules_that_are_not_known_have_no_grouped_form(fields):
    assert grouped_form(replaced(), (torch.randn(6, 3, 4, 4),)) is not None
    assert grouped_form(replaced(**fields), (torch.randn(6, 3, 4, 4),)) is None


class Remembers(nn.Module):
    """As LeViT does with its attention biases."""

    def __init__(self):
        super().__init__()
        self.fc, self.kept = nn.Linear(4, CLASSES), {}

    def forward(self, x):
        if not self.training:
            return x @ self.kept.setdefault("weight", self.fc.weight.T)
        return self.fc(x)


def test_a_network_that_remembers_a_call_has_no_form():
    module, x = Remembers(), torch.randn(6, 4)
    assert vmap_form(module, (x,)) is not None
    module.eval()
    assert [form(module, (x,)) for form in FORMS.values()] == [None] * 3
    assert module.kept == {}


def test_making_a_form_changes_nothing():
    for make, of_one in NETWORKS.values():
        module, x = make(), torch.randn(of_one)
        before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
        state, kept = torch.get_rng_state(), x.clone()
        for form in FORMS.values():
            form(module, (x,))
        assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
        assert all(p.grad is None and p.requires_grad for p in module.parameters())
        assert torch.equal(torch.get_rng_state(), state)
        assert torch.equal(x, kept)


@pytest.mark.parametrize("form", ["vmap", "grouped"])
def test_statistics_are_never_moved_by_several(form):
    replicas, x, _ = case("resnet8")
    made = FORMS[form](replicas.module, (x[0],))
    del replicas.buffers["1.running_var"]
    with pytest.raises(AssertionError, match="1 trains without statistics"):
        made.logits(replicas.parameters, replicas.buffers, (x,))


LOST = [(math.nan, torch.float32), (math.inf, torch.float32), (math.nan, torch.float64)]


@pytest.mark.parametrize(("spoilt", "dtype"), LOST)
@pytest.mark.parametrize("shape", SHAPES[1:])
@pytest.mark.parametrize(("network", "form"), [*HAS, ("wide", "grouped"), ("wide", "vmap")])
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


@pytest.mark.parametrize(("network", "form"), HAS)
def test_low_precision_is_that_of_the_plain_loop_or_refused(network, form):
    replicas, x, _ = case(network)
    module, x = replicas.module.float(), x.float()
    parameters = {name: p.detach().float() for name, p in replicas.parameters.items()}
    buffers = {name: cast(b, torch.float32) for name, b in replicas.buffers.items()}
    made = FORMS[form](module, (x[0],))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        again = FORMS[form](module, (x[0],))
        if form == "vmap":
            assert again is None
            with pytest.raises(RuntimeError, match="autocast"):
                made.logits(parameters, buffers, (x,))
            return
        assert again is not None
        logits = made.logits(parameters, buffers, (x,))
        expected = torch.stack([torch.stack([one.float()(x[s]) for one in r]) for s, r in enumerate(replicas.plain)])
    assert logits.dtype == expected.dtype
    torch.testing.assert_close(logits.float(), expected.float(), rtol=0.05, atol=0.05)


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
@pytest.mark.parametrize(("toy", "form"), [("toy_conv", "grouped"), ("toy_conv", "vmap")])
def test_a_whole_training_with_its_optimizer(tiny, toy, form, optimizer):
    """Twelve steps, units that freeze and thaw, members that leave half-way."""
    shape, lrs, decays = (2, 3), [[0.05, 0.01, 0.1], [0.02, 0.03, 0.003]], [[0.0, 0.1, 0.01], [0.1, 0.0, 0.2]]
    training = dataclasses.replace(toys.TRAINING, optimizer=optimizer)
    net = toys.network(toy)
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
        net.set_active(active)
        for name, parameter in stacked.parameters.items():
            parameter.requires_grad_(active[stacked.slots[name].unit])
        x, y = batch(shape, (6, 3, 8, 8), step)
        made = FORMS[form](net.module, (x[0],))
        losses(made.logits(stacked.parameters, replicas.buffers, (x,)), y % 3, 0.1).sum().backward()
        rates = tuple(on * (1 - step / 12) for on in active)
        stacked.step(rates)
        for s, (row, own) in enumerate(zip(nets, optimizers, strict=True)):
            for m, (one, optimizer_of_one) in enumerate(zip(row, own, strict=True)):
                one.set_active(active)
                set_rates(optimizer_of_one, rates, lrs[s][m])
                optimizer_of_one.zero_grad()
                F.cross_entropy(one.module(x[s]), y[s] % 3, label_smoothing=0.1).backward()
                optimizer_of_one.step()
        if step == 6:
            kept = [[2, 0], [0, 1]]
            stacked.keep(torch.tensor(kept))
            replicas.buffers = {name: b.gather(1, index(kept, b)) for name, b in replicas.buffers.items()}
            nets, optimizers, lrs = ([[row[m] for m in k] for row, k in zip(rows, kept, strict=True)]
                                     for rows in (nets, optimizers, lrs))
    for s, row in enumerate(nets):
        for m, one in enumerate(row):
            state = one.module.state_dict()
            for name, tensor in {**stacked.parameters, **replicas.buffers}.items():
                torch.testing.assert_close(tensor[s, m].detach(), state[name], rtol=1e-6, atol=1e-9)


def index(kept, tensor):
    chosen = torch.tensor(kept)
    return chosen.view(*chosen.shape, *[1] * (tensor.ndim - 2)).expand(*chosen.shape, *tensor.shape[2:])
