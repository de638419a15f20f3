"""What no form can promise to compute as the plain loop does has none: randomness, unknown operations, side effects."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.forms import head_form, vmap_form
from bench.engine.grouped import grouped_form
from tests.engine.replicas import CLASSES, FORMS, NETWORKS, Replicas, batch, case, graph_of, resnet8, vit


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
