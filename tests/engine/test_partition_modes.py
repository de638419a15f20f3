"""Training and evaluation that differ, statistics, shared weights, modules used in ways of their own."""


import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine import partition
from bench.engine.partition import Cut, cut, join
from tests.engine.cutting import SIZE, Net, refused
from tests.engine.test_partition import assert_near, assert_same_training, checked, images_of


def test_statistics_read_before_they_change():
    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

        def forward(self, x):
            x = self.stem(x) - self.mean
            if self.training:
                self.mean.add_(x.mean())
            return self.classify(x)

    network = Keeps()
    parts = checked(network, SIZE, [(4, 8, 8)])
    images = images_of(3, SIZE)
    for _ in range(2):
        assert_same_training(parts, parts.static(images), network, images)


def test_statistics_without_gradient():
    """The graph does not know that these are made without one; the logits would not tell."""

    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

        def forward(self, x):
            x = self.side(self.stem(x))
            with torch.no_grad():
                self.mean.add_(x.mean())
            return self.classify(x)

    assert refused(Keeps()) == "disagrees with the whole network by inf in training"


def test_value_remembered_in_evaluation():
    """As LeViT keeps its attention biases, made from parameters that train."""

    class Remembers(Net):
        def prepare(self):
            self.kept = {}

        def train(self, mode=True):
            self.kept = {} if mode else self.kept
            return super().train(mode)

        def forward(self, x):
            bias = self.side.bias[:, None, None] * 2
            if not self.training:
                bias = self.kept.setdefault("bias", bias)
            return self.classify(self.stem(x) + bias)

    network, fresh = Remembers(), Remembers()
    with torch.no_grad():
        network.eval()(images_of(2, SIZE))
    network.training = True  # as units are set one by one: nothing is forgotten yet
    parts = cut(network, images_of(2, SIZE))
    assert isinstance(parts, Cut), parts.reason
    with torch.no_grad():
        network.side.bias.add_(1)
        fresh.load_state_dict(network.state_dict())
        got = parts.live_eval(*parts.static(images_of(3, SIZE)))
        assert_near(got, fresh.eval()(images_of(3, SIZE)), "logits")


def test_another_feature_in_training():
    class Deeper(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.side(self.middle(x) if self.training else x))

    network = Deeper()
    checked(network.eval(), SIZE, [(4, 8, 8)])
    assert refused(network.train()) == "evaluation reads images, which training does not"


def test_another_value_in_training_under_the_same_name():
    """Frozen, deterministic, and yet not the same feature in evaluation: only running it shows."""

    class Doubles(nn.Module):
        __module__ = "torch.nn.stand_in"  # one node of the graph

        def forward(self, x):
            return x * (2 if self.training else 3)

    class Asks(Net):
        def prepare(self):
            self.twice = Doubles()

        def forward(self, x):
            return self.classify(self.side(self.twice(self.stem(x))))

    network = Asks()
    checked(network.eval(), SIZE, [(4, 8, 8)])
    why = refused(network.train())
    assert why.startswith("disagrees with the whole network by ")
    assert why.endswith(" in training")


def test_gradient_stopped_inside():
    class Stops(Net):
        def forward(self, x):
            x = self.side(self.stem(x))
            with torch.no_grad():
                gate = x.sigmoid()
            return self.classify(x * gate)

    assert refused(Stops()).startswith("disagrees with the whole network by ")


def test_autocast_inside():
    class Switches(Net):
        def forward(self, x):
            x = self.stem(x)
            with torch.autocast(x.device.type if isinstance(x, torch.Tensor) else "cpu", enabled=False):
                return self.classify(x)

    assert refused(Switches()) == "switches autocast in its forward"
    with torch.autocast("cpu", enabled=False):
        pass


def test_optional_arguments_keep_their_defaults():
    class Optional(Net):
        def forward(self, x, mask=None, *, scale=None):
            x = self.stem(x)
            if mask is not None:
                x = x * mask
            return self.classify(x if scale is None else x * scale)

    checked(Optional(), SIZE, [(4,)])


def test_more_than_logits():
    class Two(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(x), x

    assert refused(Two()) == "returns more than logits"


def test_parameter_used_by_a_function():
    class Functional(Net):
        def forward(self, x):
            x = F.conv2d(x, self.stem.weight)
            return self.classify(F.conv2d(x, self.middle.weight, self.middle.bias))

    network = Functional()
    checked(network, SIZE, [(4,)])
    network.middle.bias.requires_grad_(True)
    checked(network, SIZE, [(4, 6, 6)])


def test_weights_used_twice():
    class Shares(Net):
        def forward(self, x):
            return self.classify(self.side(self.middle(self.middle(self.stem(x)))))

    checked(Shares(), SIZE, [(4, 8, 8)])


def test_one_convolution_with_two_norms():
    """Each folds another factor into it: neither may."""

    class Norms(Net):
        def prepare(self):
            self.norms = nn.ModuleList(nn.BatchNorm2d(4, dtype=torch.float64) for _ in range(2))
            for i, norm in enumerate(self.norms.requires_grad_(False).eval()):
                norm.running_mean += i + 1
                norm.running_var *= i + 2

        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.norms[0](self.middle(x)) * self.norms[1](self.middle(x + 1)))

    checked(Norms(), SIZE, [(4,)])


def test_hook_between_convolution_and_norm():
    class Hooked(Net):
        def prepare(self):
            self.norm = nn.BatchNorm2d(4, dtype=torch.float64).requires_grad_(False).eval()
            self.norm.running_var += 1
            self.stem.register_forward_hook(lambda module, given, value: value**2)

        def forward(self, x):
            return self.classify(self.norm(self.stem(x)))

    checked(Hooked(), SIZE, [(4,)])


class Inplace(Net):
    """With `early`, what trains reads the value that the frozen ReLU overwrites."""

    early = False

    def forward(self, x):
        x = self.stem(x)
        if self.early:
            return self.classify(self.side(x))
        return self.classify(self.side(self.middle(F.relu(x, inplace=True))))


@pytest.mark.parametrize("order", [1, -1])
def test_in_place_operations_in_joined_cuts(order):
    network = Inplace()
    cuts = []
    for network.early in (False, True):
        cuts.append(cut(network, images_of(2, SIZE)))
    images = images_of(3, SIZE)
    got = join(cuts[::order])(images)
    for one in cuts:
        assert torch.equal(got[one.digests[0]], one.static(images)[0])


class Normed(Net):
    """Its first BatchNorm has no convolution before it, its second has."""

    def prepare(self):
        self.first, self.second = (nn.BatchNorm2d(n, dtype=torch.float64) for n in (3, 4))
        for norm in (self.first, self.second):
            norm.requires_grad_(False).eval().running_var.add_(1)

    def forward(self, x):
        return self.classify(self.second(self.stem(self.first(x))))


def test_static_part_is_never_in_training_mode():
    network = Normed()
    network.stem.train()  # a flag that a convolution does not look at
    parts = checked(network, SIZE, [(4,)])
    (before,) = parts.static(images_of(3, SIZE))
    joint = join([parts])
    parts.static.train()
    joint.train()
    assert torch.equal(parts.static(images_of(3, SIZE))[0], before)
    assert torch.equal(joint(images_of(3, SIZE))[parts.digests[0]], before)


@pytest.mark.parametrize("place", ["frozen_copies", "fold_batchnorm"])
def test_mistake_behind_a_head_of_zeros_is_found(place, monkeypatch):
    """Logits of a fresh head are zeros, whatever it is given."""
    network = Normed()
    nn.init.zeros_(network.head.weight)
    checked(network, SIZE, [(4,)])
    right = getattr(partition, place)

    def wrong(*arguments):
        used = right(*arguments)
        stem = used["stem"] if used else arguments[0].stem
        stem.weight.data[0, 0, 0, 0] += 1e-3
        return used

    monkeypatch.setattr(partition, place, wrong)
    assert refused(network).startswith("disagrees with the whole network by ")
