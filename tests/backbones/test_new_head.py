"""How the classifier starts that a training begins with, on networks as their libraries build them."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.errors import BenchError
from bench.network.build import build_network, load_pretrained
from bench.network.new_head import give_head
from bench.spec.refs import BackboneRef, NewHead, Weights

LIBRARY = [
    ("mobilenetv2_035", {}), ("resnet18", {}), ("torchvision:squeezenet1_1", {}), ("torchvision:mobilenet_v2", {}),
    ("vit_tiny_patch16_224", {"img_size": 32, "depth": 2}),
    ("deit_tiny_distilled_patch16_224", {"img_size": 32, "depth": 2}),
]  # fmt: skip
IMAGES = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def built(name, options, head, num_classes=10, seed=0):
    return build_network(BackboneRef(name, options, "coarse", Weights("random")), num_classes, seed, head)


def logits_of(network, images):
    side = getattr(getattr(network.module, "patch_embed", None), "img_size", (64, 64))[0]
    with torch.no_grad():
        return network.module.eval()(images[:, :, :side, :side])


@pytest.mark.parametrize(("name", "options"), LIBRARY)
def test_at_zero_every_class_is_as_likely(name, options):
    network = built(name, options, NewHead())
    logits = logits_of(network, IMAGES)
    assert torch.equal(logits, torch.zeros(4, 10))
    assert F.cross_entropy(logits, torch.arange(4)).item() == pytest.approx(math.log(10))


@pytest.mark.parametrize(("name", "options"), LIBRARY)
def test_the_body_is_the_same_however_the_head_starts(name, options):
    networks = [built(name, options, NewHead(start)) for start in ("zero", "small", "architecture")]
    plain = built(name, options, None)
    for network in networks:
        for ours, theirs in zip(network.parameters[:-1], plain.parameters[:-1], strict=True):
            assert ours.keys() == theirs.keys()
            assert all(torch.equal(tensor, theirs[parameter]) for parameter, tensor in ours.items())


def test_small_is_a_hundredth_and_without_bias():
    weight, bias = built("resnet18", {}, NewHead("small")).parameters[-1].values()
    assert weight.std().item() == pytest.approx(0.01, rel=0.05)
    assert not bias.any()


def test_the_architectures_own_is_left_alone():
    """timm draws a MobileNet's classifier within 1 / sqrt(classes): a standard deviation of 0.18 for ten."""
    weight, _ = built("mobilenetv2_035", {}, NewHead("architecture")).parameters[-1].values()
    plain, _ = built("mobilenetv2_035", {}, None).parameters[-1].values()
    assert torch.equal(weight, plain)
    assert weight.std().item() == pytest.approx(1 / math.sqrt(10 * 3), rel=0.05)


@pytest.mark.parametrize(("name", "options"), [LIBRARY[0], LIBRARY[3], LIBRARY[4]])
def test_of_a_hidden_layer_only_what_follows_starts_at_zero_and_all_of_it_learns(name, options):
    network = built(name, options, NewHead(hidden=16, dropout=0.5))
    plain = built(name, options, None)
    assert network.unit_names == plain.unit_names
    first, last = (m for m in network.modules[-1] if isinstance(m, nn.Linear))
    assert (first.out_features, last.in_features, last.out_features) == (16, 16, 10)
    assert first.weight.any()
    assert not last.weight.any()
    before = {key: parameter.detach().clone() for key, parameter in network.parameters[-1].items()}
    optimizer = torch.optim.SGD(network.module.parameters(), lr=0.1)
    side = IMAGES[:, :, :32, :32]
    for _ in range(3):
        optimizer.zero_grad()
        F.cross_entropy(network.module(side), torch.arange(4)).backward()
        optimizer.step()
    assert all(not torch.equal(before[key], parameter) for key, parameter in network.parameters[-1].items())
    assert any(isinstance(m, nn.Dropout) and m.p == 0.5 for m in network.modules[-1])


@pytest.mark.parametrize(("name", "options"), LIBRARY)
@pytest.mark.parametrize("head", [NewHead(), NewHead(hidden=16)])
def test_pretrained_weights_meet_every_new_head(name, options, head):
    """A checkpoint has the old head, whose layers the new one need not have."""
    taught = built(name, options, None, seed=3).module.state_dict()
    network = built(name, options, head, num_classes=7)
    load_pretrained(network, taught, network.num_units)
    loaded = network.module.state_dict()
    body = network.names_below(network.num_units - 1)
    assert body
    assert all(torch.equal(loaded[key], taught[key]) for key in body)
    assert not torch.any(logits_of(network, IMAGES)), "the head is new"
    strange = {**taught, "neck.weight": torch.zeros(1)}
    with pytest.raises(BenchError, match=r"1 tensors of the file fit nowhere in this network, first neck.weight"):
        load_pretrained(network, strange, network.num_units)


def test_a_relu_behind_the_classifier_goes_and_the_rest_stays_what_it_was():
    """torchvision's SqueezeNet takes the mean of relu(convolution); ours of the convolution itself."""
    plain = built("torchvision:squeezenet1_1", {}, None)
    linear = built("torchvision:squeezenet1_1", {}, NewHead("architecture"))
    convolution = plain.module.classifier[1]
    with torch.no_grad():
        by_hand = convolution(plain.module.features(IMAGES)).mean((2, 3))
    assert (by_hand < 0).any()
    torch.testing.assert_close(logits_of(linear, IMAGES), by_hand, atol=1e-6, rtol=1e-5)
    assert (logits_of(plain, IMAGES) >= 0).all()
    assert isinstance(linear.module.get_classifier(), nn.Linear)
    assert linear.unit_names == plain.unit_names


def test_a_checkpoint_with_the_convolution_still_loads_and_its_head_is_dropped():
    state = built("torchvision:squeezenet1_1", {}, None, num_classes=1000, seed=5).module.state_dict()
    network = built("torchvision:squeezenet1_1", {}, NewHead())
    loaded = load_pretrained(network, state, network.num_units)
    assert set(loaded.dropped) == {"classifier.1.weight", "classifier.1.bias"}
    assert loaded.matched == loaded.expected == len(state) - 2


class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = nn.Bilinear(2, 2, 3)

    def get_classifier(self):
        return self.head


@pytest.mark.parametrize(("head", "reason"), [
    (NewHead(), "say `head: architecture`"), (NewHead(hidden=4), "one linear layer"),
])  # fmt: skip
def test_a_head_that_is_not_linear_is_refused(head, reason):
    with pytest.raises(BenchError, match=reason):
        give_head(Odd(), head)
    give_head(Odd(), NewHead("architecture"))
