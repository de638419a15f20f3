"""State dicts of the public CIFAR ResNets, made here by networks written as those are, load or say what they need."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.network.build import build_network, load_pretrained, read_state
from bench.network.weights import WeightsError
from bench.spec.refs import BackboneRef, Weights

CLASSES = 10


class Reference(nn.Module):
    """He et al.'s network as one public repository or another has it: `kind`, and what it calls head and shortcut."""

    def __init__(self, kind, head, shortcut, blocks=3):
        super().__init__()
        self.kind, self.head, self.shortcut, self.blocks = kind, head, shortcut, blocks
        self.conv1, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        before = 16
        for stage, width in enumerate((16, 32, 64), 1):
            made = []
            for number in range(blocks):
                stride = 2 if stage > 1 and number == 0 else 1
                block = nn.ModuleDict({
                    "conv1": nn.Conv2d(before, width, 3, stride, 1, bias=False), "bn1": nn.BatchNorm2d(width),
                    "conv2": nn.Conv2d(width, width, 3, 1, 1, bias=False), "bn2": nn.BatchNorm2d(width),
                })  # fmt: skip
                if stride == 2 and kind == "B":
                    convolution = nn.Conv2d(before, width, 1, 2, bias=False)
                    block[shortcut] = nn.Sequential(convolution, nn.BatchNorm2d(width))
                made.append(block)
                before = width
            self.add_module(f"layer{stage}", nn.ModuleList(made))
        self.add_module(head, nn.Linear(64, CLASSES))

    def forward(self, x):
        x = F.relu(self.bn1(self.conv1(x)))
        for stage in (1, 2, 3):
            for number, block in enumerate(getattr(self, f"layer{stage}")):
                out = F.relu(block["bn1"](block["conv1"](x)))
                out = block["bn2"](block["conv2"](out))
                if stage > 1 and number == 0:
                    if self.kind == "B":
                        x = block[self.shortcut](x)
                    else:
                        quarter = out.shape[1] // 4
                        x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
                x = F.relu(out + x)
        return getattr(self, self.head)(F.adaptive_avg_pool2d(x, 1).flatten(1))


LAYOUTS = {  # name: kind, head, shortcut
    "akamaster": ("A", "linear", "shortcut"),
    "option A with fc": ("A", "fc", "shortcut"),
    "chenyaofo": ("B", "fc", "downsample"),
    "akamaster's option B": ("B", "linear", "shortcut"),
    "a mixture": ("B", "classifier", "downsample"),
}


@pytest.fixture(params=LAYOUTS)
def public(request, tmp_path):
    """A network, a little trained so that every statistic is its own, and the file that it left."""
    return left(tmp_path, *LAYOUTS[request.param])


def left(folder, kind, head, shortcut, blocks=3):
    torch.manual_seed(5)
    net = Reference(kind, head, shortcut, blocks).train()
    for _ in range(2):
        net(torch.randn(8, 3, 32, 32))
    path = folder / "public.pt"
    torch.save({f"module.{name}": tensor for name, tensor in net.state_dict().items()}, path)
    return net.eval(), path


def read(path, **options):
    ref = BackboneRef("cifar_resnet", options, "coarse", Weights("file", "x"))
    return build_network(ref, CLASSES, 0), read_state(ref, path)


def test_every_public_layout_loads_and_computes_what_it_did(public):
    original, path = public
    net, state = read(path, shortcut=original.kind)
    loaded = load_pretrained(net, state, net.num_units)
    body = [name for name in original.state_dict() if not name.startswith(original.head)]
    assert loaded.matched == loaded.expected == len(body)
    assert len(loaded.dropped) == 2  # the old head's weight and bias, by whatever name
    net.module.load_state_dict(state)  # strict: every tensor, the head too
    x = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(net.module.eval()(x), original(x))


def test_the_other_shortcut_is_named_where_a_file_needs_it(public):
    original, path = public
    other = {"A": "B", "B": "A"}[original.kind]
    what = "1x1-convolution shortcuts" if original.kind == "B" else "shortcuts without weights"
    told = rf"public.pt: this file has {what} .*: use `options: {{shortcut: {original.kind}, blocks: 3}}`"
    with pytest.raises(WeightsError, match=told):
        read(path, shortcut=other)


def test_another_depth_is_named_too(tmp_path):
    _, path = left(tmp_path, *LAYOUTS["chenyaofo"], blocks=5)
    with pytest.raises(WeightsError, match=r"5 blocks in each stage: use `options: {shortcut: B, blocks: 5}`"):
        read(path, shortcut="B")
    net, state = read(path, shortcut="B", blocks=5)
    assert load_pretrained(net, state, 6).expected > 0


def test_a_network_for_imagenet_is_told_from_these(tmp_path):
    import torchvision

    torch.save(torchvision.models.resnet18(num_classes=10).state_dict(), tmp_path / "big.pt")
    with pytest.raises(WeightsError, match=r"fourth stage.*torchvision:resnet18"):
        read(tmp_path / "big.pt")


def test_option_b_has_the_size_that_is_published():
    """chenyaofo's cifar10_resnet20: 0.27 M parameters, 1x1 convolutions of 16 x 32 and 32 x 64 and their norms."""
    sizes = [sum(p.numel() for p in read_nothing(kind).module.parameters()) for kind in "AB"]
    assert sizes[1] - sizes[0] == 16 * 32 + 2 * 32 + 32 * 64 + 2 * 64
    assert sizes[1] == 272_474


def read_nothing(kind):
    return build_network(BackboneRef("cifar_resnet", {"shortcut": kind}, "coarse", Weights("random")), CLASSES, 0)
