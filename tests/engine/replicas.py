"""Networks of every sort, and replicas of them: run one by one, and stacked, for a form to be checked with."""

import copy

import timm
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.fleet.forms import head_form, losses, vmap_form
from bench.network.build import build_network
from bench.spec.refs import BackboneRef, Weights

torch.set_num_threads(1)

CLASSES = 5
FORMS = {"head": head_form, "vmap": vmap_form}


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
class TwoInputs(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.fc = nn.Linear(12, CLASSES)

    def forward(self, maps, more):
        maps = self.conv(maps)
        maps += more
        return self.fc(F.relu(maps).flatten(1))


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
