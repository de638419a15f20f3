"""Networks to be cut, and what a cut is held to: logits, gradients and statistics of the whole network."""

import copy

import numpy as np
import timm
import torch
from torch import nn

from bench.engine.reuse.cut import Cut, Whole, cut
from bench.network.units import Network, cut_into_units
from bench.spec.recipe import Learning

torch.set_num_threads(1)

CLASSES, SIZE = 5, 8
SMALL = {"test_resnet": 48, "test_vit": 32}  # timm's, under half a million weights
# name -> image size, options
FAMILIES: dict[str, tuple[int, dict[str, object]]] = {
    "resnet18": (48, {}),
    "vit_tiny_patch16_224": (32, {"img_size": 32, "drop_path_rate": 0.2, "attn_drop_rate": 0.1}),
    "convnext_atto": (32, {"drop_path_rate": 0.2}),
    "efficientnet_b0": (48, {"drop_path_rate": 0.2, "drop_rate": 0.2}),
    "densenet121": (64, {}),
    "swin_tiny_patch4_window7_224": (56, {"img_size": 56, "drop_path_rate": 0.2}),
    "mobilenetv3_small_100": (48, {}),
    "regnety_002": (48, {}),
    "mixer_s32_224": (224, {}),
    "deit_tiny_patch16_224": (32, {"img_size": 32}),
    "maxvit_rmlp_nano_rw_256": (256, {}),
    "levit_128s": (224, {}),
    "mobilevit_xxs": (64, {}),
    "resnext50_32x4d": (48, {}),
    "vgg11": (32, {}),
}


def images_of(number, size=SIZE, seed=0):
    return torch.randn(number, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def calibrated(module, size):
    """In double precision, with weights that hide no mistake: as built, biases and layer scales are 0 or 1."""
    draw = torch.Generator().manual_seed(1)
    module = module.double().train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
        for seed in range(2):
            module(images_of(4, size, 10 + seed))
    return module


def built(name, **options):
    torch.manual_seed(0)
    size, standard = (SMALL[name], {}) if name in SMALL else FAMILIES[name]
    return calibrated(timm.create_model(name, num_classes=CLASSES, **standard, **options), size), size


def frozen_below(module, depth):
    network = cut_into_units(module, coarse=True)
    module.train()
    network.set_active(Learning(tuple(unit >= depth for unit in range(network.num_units))))
    return network


def assert_near(got, expected, what, floor=0.0):
    scale = max(expected.abs().max().item(), floor)
    assert got.shape == expected.shape, what
    assert (got - expected).abs().max().item() <= 1e-9 * scale, what


def step(run, inputs, owner):
    """Logits, and the gradients of a sum of them in which each has a weight of its own."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - transformers masks parts of sound with numpy's own generator
    owner.zero_grad(set_to_none=True)
    logits = run(*inputs)
    (logits.flatten() * torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype)).sum().backward()
    found = {name: p.grad for name, p in owner.named_parameters()}
    owner.zero_grad(set_to_none=True)
    return logits.detach(), found


def checked(network, size=SIZE):
    """A cut that does what the whole network does, for other images, and more of them, than it was made with."""
    found = cut(network, images_of(2, size))
    assert isinstance(found, Cut), found.reason
    module = network.module
    for number in (5, 3):
        images = images_of(number, size, seed=number)
        features = [f.contiguous() for f in found.static(images.clone())]
        assert all(len(f) == number and not f.requires_grad for f in features)
        whole = copy.deepcopy(module).eval()
        flags = [m.training for m in module.modules()]
        module.eval()
        with torch.no_grad():
            torch.manual_seed(4)
            got = found.live(*[f.clone() for f in features])
            torch.manual_seed(4)
            assert_near(got, whole(images.clone()), "logits in evaluation")
        for one, flag in zip(module.modules(), flags, strict=True):
            one.training = flag
    whole = copy.deepcopy(module)
    expected, by_name = step(whole, [images.clone()], whole)
    got, gradients = step(found.live, features, module)
    assert_near(got, expected, "logits in training")
    largest = max((g.abs().max().item() for g in by_name.values() if g is not None), default=0.0)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and by_name[name] is not None:
            assert_near(gradients[name], by_name[name], name, floor=1e-6 * largest)  # some are nothing but rounding
        else:
            assert gradients[name] is None, name
    for name, buffer in module.named_buffers():
        assert_near(buffer.double(), whole.get_buffer(name).double(), name)
    return found


class Net(nn.Module):
    """`stem` and `middle` are frozen, `side` and `head` learn; `forward` is the trap."""

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.middle = nn.Conv2d(4, 4, 3, padding=1)
        self.prepare()
        self.side = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, CLASSES)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64) / 2)

    def prepare(self):
        """More of what is frozen."""

    def classify(self, x):
        return self.head(x.mean((2, 3)))


def network_of(module, first="side"):
    """A unit for each child; those before `first` are frozen."""
    module.train()
    names = [name for name, _ in module.named_children()]
    children = [dict(module.named_children())[name] for name in names]
    network = Network(
        module, tuple(names),
        tuple({f"{n}.{k}": p for k, p in child.named_parameters()} for n, child in zip(names, children, strict=True)),
        tuple(tuple(f"{n}.{k}" for k, _ in child.named_buffers()) for n, child in zip(names, children, strict=True)),
        tuple(tuple(child.modules()) for child in children),
    )  # fmt: skip
    network.set_active(Learning(tuple(unit >= names.index(first) for unit in range(len(names)))))
    return network


def refused(module, **options):
    found = cut(network_of(module, **options), images_of(2))
    assert isinstance(found, Whole)
    assert "\n" not in found.reason
    return found.reason
