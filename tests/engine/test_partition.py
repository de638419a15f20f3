"""A cut network is the network: logits, gradients, BatchNorm's statistics, for ten families cut at several depths."""

import copy
import functools

import pytest
import timm
import torch
import torchvision

from bench.backbones.units import cut_into_units
from bench.engine.partition import Cut, cut
from bench.strategies.recipe import Learning

torch.set_num_threads(1)

CLASSES = 5
# name -> image size, options, features of one image by the units that train (counted from the end)
FAMILIES = {
    "resnet18": (48, {}, {1: [(512,)], 5: [(64, 12, 12)]}),
    "resnet50": (48, {"layers": (1, 2, 2, 1)}, {3: [(512, 6, 6)]}),
    "efficientnet_b0": (48, {"drop_path_rate": 0.2, "drop_rate": 0.2}, {3: [(112, 3, 3)]}),
    "vit_tiny_patch16_224": (
        32, {"img_size": 32, "drop_path_rate": 0.2, "attn_drop_rate": 0.1, "pos_drop_rate": 0.1, "depth": 6},
        {1: [(192,)], 3: [(5, 192)], 7: [(5, 192)]},
    ),
    "swin_tiny_patch4_window7_224": (
        56, {"img_size": 56, "drop_path_rate": 0.2, "depths": (2, 2, 1, 1)}, {4: [(7, 7, 384)]}
    ),
    "convnext_atto": (32, {"drop_path_rate": 0.2}, {3: [(4, 4, 80)]}),
    "densenet121": (64, {}, {2: [(512, 2, 2)]}),
    "mobilenetv3_small_050": (48, {}, {1: [(1024,)], 4: [(24, 3, 3)]}),
    "regnetx_002": (48, {}, {3: [(56, 6, 6)]}),
}
# For what needs no family of its own: under half a million weights.
SMALL = {"test_resnet": (48, {}), "test_vit": (32, {"img_size": 32})}
CASES = [(name, last) for name, (_, _, by_depth) in FAMILIES.items() for last in by_depth]


def images_of(number, size, seed=0):
    return torch.randn(number, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def calibrated(module, size):
    """In double precision, every weight of use, BatchNorm with statistics to fold; frozen and in eval mode."""
    generator = torch.Generator().manual_seed(1)
    module = module.double().train()
    with torch.no_grad():
        for parameter in module.parameters():
            # Not as built: biases and layer scales begin with values that hide mistakes.
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
        for seed in range(2):
            module(images_of(4, size, 10 + seed))
    return module.requires_grad_(False).eval()


@functools.cache
def _built(name):
    torch.manual_seed(0)
    size, options = SMALL[name] if name in SMALL else FAMILIES[name][:2]
    return calibrated(timm.create_model(name, num_classes=CLASSES, **options), size)


def built(name):
    return copy.deepcopy(_built(name))


def assert_near(got, expected, what, floor=0.0):
    scale = max(expected.abs().max().item(), floor)
    assert got.shape == expected.shape, what
    assert (got - expected).abs().max().item() <= 1e-9 * scale, what


def gradients(run, inputs, owner, seed):
    """Of a sum of the logits, each with a weight of its own; and the logits."""
    torch.manual_seed(seed)
    owner.zero_grad(set_to_none=True)
    logits = run(*inputs)
    if logits.requires_grad:
        (logits.flatten() * torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype)).sum().backward()
    found = {name: p.grad for name, p in owner.named_parameters()}
    owner.zero_grad(set_to_none=True)
    return logits.detach(), found


def assert_same_training(parts, features, module, images):
    """One forward and backward: of a copy as a whole, and in parts."""
    whole = copy.deepcopy(module)
    expected, by_name = gradients(whole, [images.clone()], whole, seed=3)
    got, found = gradients(parts.live_train, features, module, seed=3)
    assert_near(got, expected, "logits in training")
    largest = max((g.abs().max().item() for g in by_name.values() if g is not None), default=0.0)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and by_name[name] is not None:
            assert_near(found[name], by_name[name], name, floor=1e-6 * largest)  # a gradient of nothing but rounding
        else:
            assert found[name] is None, name
    for name, buffer in module.named_buffers():
        assert_near(buffer.double(), whole.get_buffer(name).double(), name)


def assert_same_evaluation(parts, features, module, images):
    flags = [m.training for m in module.modules()]
    whole = copy.deepcopy(module).eval()
    module.eval()
    with torch.no_grad():
        torch.manual_seed(4)
        got = parts.live_eval(*features)
        torch.manual_seed(4)
        assert_near(got, whole(images.clone()), "logits in evaluation")
    for one, flag in zip(module.modules(), flags, strict=True):
        one.training = flag


def checked(module, size, expected=None):
    """A cut that does what the whole network does, for other images, and more of them, than it was made with."""
    parts = cut(module, images_of(2, size))
    assert isinstance(parts, Cut), parts.reason
    for number in (5, 3):
        images = images_of(number, size, seed=number)
        features = [f.clone(memory_format=torch.contiguous_format) for f in parts.static(images.clone())]
        assert all(len(f) == number and not f.requires_grad for f in features)
        assert_same_evaluation(parts, [f.clone() for f in features], module, images)
    assert_same_training(parts, features, module, images)
    shapes = [tuple(f.shape[1:]) for f in features]
    assert expected is None or shapes == expected
    assert len(parts.digests) == len(set(parts.digests)) == len(features)
    return parts


def train_last(module, units):
    """The module in training mode, but for the units that are frozen."""
    network = cut_into_units(module, coarse=True)
    module.train()
    network.set_active(Learning(tuple(i >= network.num_units - units for i in range(network.num_units))))
    return network


@pytest.mark.parametrize(("name", "units"), CASES)
def test_family_cut_at_depth(name, units):
    size, _, by_depth = FAMILIES[name]
    module = built(name)
    train_last(module, units)
    parts = checked(module, size, by_depth[units])
    own = dict(module.named_parameters())
    shared = dict(parts.live_train.named_parameters())
    assert shared
    assert all(own[key] is parameter for key, parameter in shared.items())
    assert {key for key, p in own.items() if p.requires_grad} <= shared.keys()


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_family_cut_at_every_depth(name):
    size, _, _ = FAMILIES[name]
    for units in range(1, cut_into_units(built(name), coarse=True).num_units):
        module = built(name)
        train_last(module, units)
        checked(module, size)


@pytest.mark.parametrize(("frozen", "shape"), [(13, (512, 3, 3)), (9, (256, 3, 3)), (4, (128, 15, 15))])
def test_torchvision_squeezenet(frozen, shape):
    torch.manual_seed(0)
    module = calibrated(torchvision.models.squeezenet1_1(num_classes=CLASSES), 64)
    for part in (module.features[frozen:], module.classifier):  # the dropout of its classifier too
        part.requires_grad_(True).train()
    checked(module, 64, [shape])
