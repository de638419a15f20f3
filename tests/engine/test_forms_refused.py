"""What no form can promise to compute as the plain loop does has none: randomness, unknown operations, side effects."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.fleet.forms import head_form, vmap_form
from tests.engine.replicas import CLASSES, FORMS, NETWORKS, case, resnet8, vit


def test_what_is_no_head():
    linear = nn.Linear(4, 4)
    others = [
        nn.Sequential(linear, nn.ReLU()), nn.Sequential(nn.Dropout(0.5), linear), nn.BatchNorm1d(4),
        nn.Sequential(linear, nn.Linear(4, 2)), nn.Sequential(nn.Flatten(0), linear), resnet8(), nn.Identity(),
    ]  # fmt: skip
    assert [head_form(module) for module in others] == [None] * len(others)


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
])  # fmt: skip
def test_randomness_has_no_form(make, capsys):
    module, x = make(), torch.randn(6, 4)
    state = torch.get_rng_state()
    assert [form(module, (x,)) for form in FORMS.values()] == [None] * 2
    assert torch.equal(torch.get_rng_state(), state) or isinstance(module, Random)
    assert capsys.readouterr().err == ""


def test_dropout_within_attention_and_between_blocks_is_seen():
    x = torch.randn(6, 3, 8, 8)
    for option in ("drop_rate", "pos_drop_rate", "proj_drop_rate", "attn_drop_rate", "drop_path_rate"):
        module = vit(**{option: 0.1})
        assert vmap_form(module, (x,)) is None
        assert vmap_form(module.eval(), (x,)) is not None


def test_hooks_are_called_for_every_replica():
    module, x = resnet8(), torch.randn(6, 3, 8, 8)
    module[1].register_forward_hook(lambda layer, inputs, output: output * 2)
    assert vmap_form(module, (x,)) is not None


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
    assert [form(module, (x,)) for form in FORMS.values()] == [None] * 2
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


def test_statistics_are_never_moved_by_several():
    replicas, x, _ = case("resnet8")
    made = vmap_form(replicas.module, (x[0],))
    del replicas.buffers["1.running_var"]
    with pytest.raises(AssertionError, match="1 trains without statistics"):
        made.logits(replicas.parameters, replicas.buffers, (x,))
