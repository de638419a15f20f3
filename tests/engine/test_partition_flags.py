"""Cuts that follow no depth: biases, adapters, one BatchNorm; what a cut leaves alone; several cuts joined."""

import copy

import pytest
import timm
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.backbones.units import cut_into_units
from bench.engine.partition import Cut, Whole, cut, join
from bench.engine.watch import random_state, same_state
from tests.engine.test_partition import CLASSES, assert_near, built, calibrated, checked, images_of, train_last


class LowRank(nn.Module):
    """LoRA around a linear layer."""

    def __init__(self, base, rank=2):
        super().__init__()
        self.base = base
        self.down = nn.Parameter(torch.randn(rank, base.in_features, dtype=torch.float64) / 10)
        self.up = nn.Parameter(torch.randn(base.out_features, rank, dtype=torch.float64) / 10)

    def forward(self, x):
        return self.base(x) + F.linear(F.linear(x, self.down), self.up)


class Adapter(nn.Module):
    """A bottleneck beside a convolutional block."""

    def __init__(self, block, num_in, num_out):
        super().__init__()
        self.block = block
        self.around = nn.Conv2d(num_in, num_out, 1, stride=2, dtype=torch.float64)

    def forward(self, x):
        return self.block(x) + self.around(x)


def train_head(module):
    module.get_classifier().requires_grad_(True)
    return module


@pytest.mark.parametrize(
    ("name", "channels"),
    [("test_resnet", 16), ("regnetx_002", 32), ("mobilenetv3_small_050", 16), ("efficientnet_b0", 32)],
)
def test_biases_only(name, channels):
    """These families' convolutions have none: the first of them is computed once."""
    module = built(name)
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key.endswith(".bias"))
    checked(module, 48, [(channels, 24, 24)])


@pytest.mark.parametrize("name", ["test_vit", "convnext_atto"])
def test_biases_only_where_the_first_layer_has_one(name):
    module = built(name)
    for key, parameter in module.named_parameters():
        parameter.requires_grad_(key.endswith(".bias"))
    assert cut(module, images_of(2, 32)) == Whole("nothing is static")


def test_low_rank_in_the_last_blocks_of_a_vit():
    """What goes into the block, the same normalised, and the frozen layer's own output beside which the adapter is."""
    module = train_head(built("vit_tiny_patch16_224"))
    for block in module.blocks[-2:]:
        block.attn.qkv = LowRank(block.attn.qkv)
    checked(module, 32, [(5, 192), (5, 192), (5, 576)])


def test_low_rank_behind_attention():
    module = built("test_vit")
    module.blocks[-1].attn.proj = LowRank(module.blocks[-1].attn.proj)
    checked(module, 32, [(5, 64)] * 3)


def test_windows_are_features_of_their_image():
    """Swin's shifted block has its image's windows as rows of the batch: [B * 4, 49, 96]. Sizes cross as well."""
    module = built("swin_tiny_patch4_window7_224")
    module.layers[0].blocks[1].attn.qkv.bias.requires_grad_(True)
    checked(module, 56, [(14, 14, 96), (4, 49, 96)])


def test_adapter_at_the_last_layer_of_a_convolutional_network():
    module = train_head(built("test_resnet"))
    module.layer4[0] = Adapter(module.layer4[0], 192, 96)
    checked(module, 48, [(192, 3, 3), (96, 2, 2)])


def test_one_batchnorm_in_training_mode():
    """Nothing has a gradient, and yet all that follows it moves."""
    module = built("test_resnet")
    module.layer2[0].bn1.train()
    before = module.layer2[0].bn1.running_mean.clone()
    parts = checked(module, 48, [(48, 6, 6), (48, 6, 6)])
    assert not torch.equal(before, module.layer2[0].bn1.running_mean)
    module.eval()
    assert cut(module, images_of(2, 48)).digests != parts.digests


def test_batchnorm_that_keeps_no_statistics():
    module = built("test_resnet")
    module.layer2[0].bn1 = nn.BatchNorm2d(48, track_running_stats=False, dtype=torch.float64)
    module.layer2[0].bn1.requires_grad_(False).eval()
    checked(module, 48, [(48, 6, 6), (48, 6, 6)])


def test_dropout_alone():
    """`F.dropout` asks the network itself whether it trains."""
    module = timm.create_model("test_resnet", num_classes=CLASSES, drop_rate=0.5)
    module = calibrated(module, 48)
    module.training = True
    checked(module, 48, [(96,)])


def test_embedding_of_positions_alone():
    """A parameter that is no module's own."""
    module = built("test_vit")
    module.pos_embed.requires_grad_(True)
    checked(module, 32, [(5, 64)])


def test_class_token_alone():
    module = built("test_vit")
    module.cls_token.requires_grad_(True)
    checked(module, 32, [(4, 64)])


def test_nothing_trains():
    module = built("test_resnet")
    parts = checked(module, 48, [(CLASSES,)])
    assert not list(parts.live_train.parameters())


def test_single_precision():
    module = built("mobilenetv3_small_050").float()
    train_last(module, 3)
    images = images_of(3, 48).float()
    parts = cut(module, images)
    assert isinstance(parts, Cut), parts.reason
    expected = copy.deepcopy(module).eval()(images)
    module.eval()
    assert (parts.live_eval(*parts.static(images)) - expected).abs().max() < 1e-4 * expected.abs().max()


def objects_of(module):
    return [*module.parameters(), *module.buffers(), *module.modules()]


def test_module_is_left_as_it_was():
    module = built("mobilenetv3_small_050")
    train_last(module, 3)
    state = copy.deepcopy(module.state_dict())
    flags = [m.training for m in module.modules()]
    wanted = [p.requires_grad for p in module.parameters()]
    objects = objects_of(module)
    versions = [t._version for t in module.state_dict().values()]
    drawn = random_state(torch.device("cpu"))
    images = images_of(2, 48)
    kept = images.clone()
    assert isinstance(cut(module, images), Cut)
    assert same_state(drawn, random_state(torch.device("cpu")))
    assert torch.equal(images, kept)
    assert flags == [m.training for m in module.modules()]
    assert wanted == [p.requires_grad for p in module.parameters()]
    assert all(a is b for a, b in zip(objects, objects_of(module), strict=True))
    assert versions == [t._version for t in module.state_dict().values()]
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    assert all(p.grad is None for p in module.parameters())


def test_static_part_does_not_follow_the_module():
    module = built("test_resnet")
    train_last(module, 2)
    parts = cut(module, images_of(2, 48))
    images = images_of(3, 48)
    (before,) = parts.static(images)
    optimizer = torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=0.1)
    parts.live_train(before.clone()).sum().backward()
    optimizer.step()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(1)
    module.train()
    parts.static.train()
    assert torch.equal(parts.static(images)[0], before)


def test_no_second_copy_of_what_trains():
    module = built("test_resnet")
    train_last(module, 2)
    parts = cut(module, images_of(2, 48))
    frozen = sum(p.numel() for p in module.parameters() if not p.requires_grad)
    held = {id(t): t.numel() for used in parts._once.used.values() for t in used.parameters()}
    assert sum(held.values()) == frozen
    live = {id(p) for run in (parts.live_train, parts.live_eval) for p in run.parameters()}
    assert live == {id(p) for p in module.parameters() if p.requires_grad}


def count_calls(monkeypatch, name):
    calls = []
    function = getattr(F, name)
    monkeypatch.setattr(F, name, lambda *args, **kwargs: calls.append(1) or function(*args, **kwargs))
    return calls


@pytest.mark.parametrize("name", ["test_resnet", "mobilenetv3_small_050"])
def test_batchnorm_is_folded(name, monkeypatch):
    module = train_head(built(name))
    parts = cut(module, images_of(2, 48))
    calls = count_calls(monkeypatch, "batch_norm")
    parts.static(images_of(2, 48))
    join([parts])(images_of(2, 48))
    assert not calls


def test_batchnorm_stays_where_its_input_is_a_feature():
    """Of two cuts one crosses between a convolution and its BatchNorm, the other does not."""
    module = built("test_resnet")
    module.layer2[0].bn1.train()
    early = cut(module, images_of(2, 48))
    module.eval()
    late = cut(train_head(module), images_of(2, 48))
    assert_joint([early, late], images_of(3, 48))


def assert_joint(cuts, images):
    got = join(cuts)(images)
    assert set(got) == {digest for one in cuts for digest in one.digests}
    for one in cuts:
        for digest, feature in zip(one.digests, one.static(images), strict=True):
            assert_near(got[digest], feature, digest)


@pytest.mark.parametrize("name", ["test_resnet", "test_vit"])
def test_depths_joined_cost_one_pass(name, monkeypatch):
    size = 32 if "vit" in name else 48
    cuts = []
    module = built(name)
    for units in range(1, cut_into_units(module, coarse=True).num_units):
        train_last(module, units)
        cuts.append(cut(module, images_of(2, size)))
    assert_joint(cuts, images_of(3, size))
    joint = join(cuts)
    kind = "linear" if "vit" in name else "conv2d"
    calls = count_calls(monkeypatch, kind)
    cuts[0].static(images_of(1, size))
    deepest = len(calls)
    joint(images_of(1, size))
    assert len(calls) == 2 * deepest > 0


def test_digests_say_what_is_computed():
    """Not with which weights, and not what is trained on it."""
    module, other = built("test_resnet"), built("test_resnet")
    with torch.no_grad():
        other.conv1[0].weight.mul_(2)
    digests = []
    for one in (module, other):
        train_last(one, 2)
        digests.append(cut(one, images_of(2, 48)).digests)
    module.eval()  # trained without BatchNorm's statistics
    digests.append(cut(module, images_of(2, 48)).digests)
    assert digests[0] == digests[1] == digests[2]
    train_last(module, 1)
    assert cut(module, images_of(2, 48)).digests != digests[0]


def test_cuts_of_different_weights_cannot_be_joined():
    module = train_head(built("test_resnet"))
    one = cut(module, images_of(2, 48))
    with torch.no_grad():
        module.conv1[0].weight.mul_(2)
    with pytest.raises(ValueError, match="different weights cannot be joined: conv1.0"):
        join([one, cut(module, images_of(2, 48))])


def test_live_part_takes_parameters_from_outside():
    """As replicas in a fleet do."""
    module = built("test_vit")
    train_last(module, 2)
    parts = cut(module, images_of(2, 32))
    features = parts.static(images_of(3, 32))
    moved = {name: p.detach() + 0.1 for name, p in parts.live_train.named_parameters()}
    expected = functional_call(module, moved, (images_of(3, 32),))
    assert_near(functional_call(parts.live_train, moved, features), expected, "logits")
    assert_near(copy.deepcopy(parts.live_train)(*features), module(images_of(3, 32)), "a copy of its own")
