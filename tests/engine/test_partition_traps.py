"""Networks written to be cut wrongly: each is cut right, or runs whole and says why."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine import partition
from bench.engine.partition import Cut, Whole, cut, join
from tests.engine.test_partition import assert_near, assert_same_training, checked, images_of

SIZE = 8


class Net(nn.Module):
    """Frozen `stem` (4 channels) and `middle`, a `head` that trains; `forward` is the trap."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False, dtype=torch.float64).requires_grad_(False)
        self.middle = nn.Conv2d(4, 4, 3, padding=1, dtype=torch.float64).requires_grad_(False)
        self.side = nn.Conv2d(4, 4, 1, dtype=torch.float64)
        self.head = nn.Linear(4, 5, dtype=torch.float64)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) / 2)
        self.prepare()

    def prepare(self):
        pass

    def classify(self, x):
        return self.head(x.mean((2, 3)))


def refused(network, size=SIZE):
    whole = cut(network, images_of(2, size))
    assert isinstance(whole, Whole)
    assert "\n" not in whole.reason
    return whole.reason


def test_control_flow_on_pixels():
    class Branches(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(x if x.sum() > 0 else -x)

    assert refused(Branches()).startswith("did not trace: TraceError: symbolically traced variables cannot be used")


def test_network_that_raises():
    class Raises(Net):
        def forward(self, x):
            raise KeyError("first line\nsecond line")

    assert refused(Raises()) == r"did not trace: KeyError: 'first line\nsecond line'"


def test_noise_in_the_middle():
    class Noisy(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            return self.classify(F.relu(x + torch.randn_like(x)))

    checked(Noisy(), SIZE, [(4, 8, 8)])


def test_noise_that_nothing_reads():
    """It moves the generator all the same, and with it the dropout behind it."""

    class Idle(Net):
        def forward(self, x):
            x = self.stem(x)
            torch.rand_like(x)
            return self.classify(F.dropout(x, 0.5, training=True))

    checked(Idle(), SIZE, [(4, 8, 8)])


def test_noise_at_the_input():
    class Noisy(Net):
        def forward(self, x):
            return self.classify(self.stem(x + torch.rand_like(x)))

    assert refused(Noisy()) == "nothing is static"


@pytest.mark.parametrize("probability", [0.0, 0.5])
def test_dropout_of_attention(probability):
    class Attention(Net):
        def forward(self, x):
            x = self.stem(x).flatten(2).transpose(1, 2)[:, None]
            x = F.scaled_dot_product_attention(x, x, x, dropout_p=probability if self.training else 0.0)
            return self.head(x.mean((1, 2)))

    network = Attention()
    checked(network, SIZE, [(1, 64, 4)] if probability else [(4,)])
    checked(network.eval(), SIZE, [(4,)])


def test_dropout_at_rest():
    """In training with nothing to drop it is the same feature as in evaluation, and as without it."""

    class Rests(Net):
        probability = 0.0

        def prepare(self):
            self.drop = nn.Dropout(0.0)

        def forward(self, x):
            return self.classify(self.side(self.drop(F.dropout(self.stem(x), self.probability, self.training))))

    network = Rests()
    digests = [checked(network, SIZE, [(4, 8, 8)]).digests]
    network.eval()
    network.probability = 0.5
    digests.append(checked(network, SIZE, [(4, 8, 8)]).digests)
    network.drop = nn.Identity()
    digests.append(checked(network, SIZE, [(4, 8, 8)]).digests)
    assert digests[0] == digests[1] == digests[2]


@pytest.mark.parametrize("draw", [lambda: torch.rand(()).item(), random.random])
def test_path_drawn_while_tracing(draw):
    class Draws(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.middle(x) if draw() < 0.5 else x)

    before = random.getstate()
    assert refused(Draws()) == "draws random numbers that its graph does not show"
    assert random.getstate() == before


def test_frozen_value_read_before_it_is_overwritten():
    class Overwrites(Net):
        def forward(self, x):
            x = self.stem(x)
            early = x + self.side.bias[:, None, None]
            x.relu_()
            return self.classify(early * self.middle(x))

    checked(Overwrites(), SIZE, [(4, 8, 8), (4, 8, 8)])


def test_view_handed_out_before_its_memory_is_overwritten():
    class Overwrites(Net):
        def forward(self, x):
            x = self.stem(x)
            early = x[:, :, ::2] + self.side.bias[:, None, None]
            x.add_(1)
            return self.classify(early * self.middle(x)[:, :, ::2])

    checked(Overwrites(), SIZE, [(4, 4, 8), (4, 4, 8)])


def test_trained_value_added_in_place_to_a_frozen_one():
    class Adds(Net):
        def forward(self, x):
            x = self.stem(x)
            y = self.middle(x)
            x.add_(self.side(y))
            return self.classify(x * y)

    network = Adds()
    parts = checked(network, SIZE, [(4, 8, 8), (4, 8, 8)])
    features = parts.static(images_of(2, SIZE))
    kept = [f.clone() for f in features]
    parts.live_train(*features)
    assert all(map(torch.equal, features, kept))


def test_trained_value_added_in_place_to_a_constant():
    class Adds(Net):
        def prepare(self):
            self.register_buffer("start", torch.ones(4, dtype=torch.float64))

        def forward(self, x):
            total = self.start + 1
            total.add_(self.side(self.stem(x)).mean((0, 2, 3)))
            return self.head(total.expand(x.shape[0], -1))

    checked(Adds(), SIZE, [(4, 8, 8)])


def test_memory_changed_through_a_view():
    class Changes(Net):
        def forward(self, x):
            x = self.stem(x)
            x.flatten(1).relu_()
            return self.classify(x)

    assert refused(Changes()).endswith("reads memory that relu_ changed in place")


def test_one_part_of_a_split_changed():
    """The others share its memory, but none of its elements."""

    class Splits(Net):
        def forward(self, x):
            parts = self.stem(x).chunk(2, 1)
            first = parts[0]
            first.relu_()
            return self.classify(torch.cat([first, parts[1]], 1))

    checked(Splits(), SIZE, [(4,)])


def test_two_sums_that_begin_alike():
    """Two empty tensors have one digest, but they are not one memory."""

    class Sums(Net):
        def forward(self, x):
            x = self.stem(x)
            one, two = torch.zeros_like(x), torch.zeros_like(x)
            one.add_(x)
            two.add_(2 * x)
            three, four = torch.zeros_like(x), torch.zeros_like(x)
            three.add_(self.side(one))
            four.add_(self.side(two))
            return self.classify(three * four + three)

    checked(Sums(), SIZE, [(4, 8, 8), (4, 8, 8)])


def test_images_belong_to_the_caller():
    class Changes(Net):
        def forward(self, x):
            x.mul_(2)
            return self.classify(self.stem(x))

    parts = checked(Changes(), SIZE, [(4,)])
    images = images_of(2, SIZE)
    kept = images.clone()
    parts.static(images)
    assert torch.equal(images, kept)


def test_features_with_their_batch_elsewhere():
    """Windows as rows, a sequence before its batch, sizes that grow with the batch and sizes that do not."""

    class Moves(Net):
        def forward(self, x):
            x = self.stem(x)
            batch, channels, height, width = x.shape
            rows = x.permute(0, 2, 3, 1).reshape(batch * height, width, channels)
            rows = rows.transpose(0, 1).contiguous()  # [8, 8B, 4]
            trained = F.linear(rows, self.side.weight[:, :, 0, 0])
            back = trained.transpose(0, 1).reshape(batch, height * width, channels)
            place = torch.linspace(0, 1, 64, dtype=torch.float64)[:, None]
            return self.head((place * back).view(batch, height, width, -1).mean((1, 2)))

    checked(Moves(), SIZE, [(8, 8, 4)])


def test_feature_in_the_layout_that_the_network_expects():
    """`view` takes no other; what comes from a store begins with its batch."""

    class Views(Net):
        def forward(self, x):
            x = self.stem(x)
            rows = x.flatten(2).permute(2, 0, 1).contiguous()  # [64, B, 4]
            trained = F.linear(rows.view(-1, 4), self.side.weight[:, :, 0, 0])
            place = torch.linspace(0, 1, 64, dtype=torch.float64)[:, None, None]
            return self.head((trained.view(64, -1, 4) * place).mean(0))

    checked(Views(), SIZE, [(64, 4)])


def test_shape_as_a_whole():
    class Shapes(Net):
        def forward(self, x):
            x = self.stem(x)
            shape = x.shape
            return self.classify(self.side(x).flatten(1).view(shape) + shape.numel() / shape[0])

    checked(Shapes(), SIZE, [(4, 8, 8)])


def test_rows_that_are_the_same_for_every_image():
    class Tokens(Net):
        def prepare(self):
            self.token = nn.Parameter(torch.ones(1, 1, 4, dtype=torch.float64), requires_grad=False)

        def forward(self, x):
            x = self.side(self.stem(x)).flatten(2).transpose(1, 2)
            return self.head(torch.cat([(2 * self.token).expand(x.shape[0], -1, -1), x], 1).mean(1))

    checked(Tokens(), SIZE, [(4, 8, 8)])


def test_constants_made_in_forward():
    """One more of them in training, before the one that a feature is made with."""

    class Makes(Net):
        def forward(self, x):
            if self.training:
                x.max() * torch.ones(3, dtype=torch.float64)
            x = self.stem(x) + torch.arange(8, dtype=torch.float64)
            return self.classify(self.side(x) * torch.linspace(0, 1, 8, dtype=torch.float64))

    checked(Makes(), SIZE, [(4, 8, 8)])


def test_tuples_across_the_frontier():
    class Pairs(Net):
        def prepare(self):
            self.attend = nn.MultiheadAttention(4, 2, batch_first=True, dtype=torch.float64).requires_grad_(False)

        def forward(self, x):
            x = self.stem(x).flatten(2).transpose(1, 2)
            x, weights = self.attend(x, x, x)
            return self.head((weights.mean(2, keepdim=True) * F.linear(x, self.side.weight[:, :, 0, 0])).sum(1))

    checked(Pairs(), SIZE, [(64, 4), (64, 1)])


def test_images_of_a_batch_mixed():
    """What an image gives depends on its neighbours from there on."""

    class Centres(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.middle(x - x.mean(0)))

    checked(Centres(), SIZE, [(4, 8, 8)])


def test_views_of_an_image_far_apart_in_the_batch():
    """Rows [a, b, a', b'] have the right number and belong to the wrong images."""

    class Twice(Net):
        def forward(self, x):
            x = self.stem(x)
            one, two = self.middle(torch.cat([x, x.flip(3)])).chunk(2)
            return self.classify(self.side(one) * two)

    checked(Twice(), SIZE, [(4, 8, 8), (4, 8, 8)])

    class Still(Twice):
        def forward(self, x):
            x = self.stem(x)
            one, two = self.side(self.middle(torch.cat([x, x.flip(3)]))).chunk(2)
            return self.classify(one * two)

    checked(Still(), SIZE, [(4, 8, 8)])


def test_number_from_pixels():
    class Scales(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.side(x) * x.max().item())

    checked(Scales(), SIZE, [(4, 8, 8)])


def test_images_mixed_too_far_from_what_trains():
    class Centres(Net):
        def forward(self, x):
            x = self.stem(x)
            x = x - x.mean(0)
            for _ in range(partition.PEELS):
                x = self.middle(x)
            return self.classify(x)

    assert refused(Centres()).endswith("gives an image another value in another batch")


def test_size_of_the_batch_as_a_range():
    class Counts(Net):
        def forward(self, x):
            x = self.stem(x)
            number = torch.arange(x.shape[0], dtype=x.dtype)
            return self.classify(self.side(x) * number[:, None, None, None])

    checked(Counts(), SIZE, [(4, 8, 8)])


def test_statistics_kept_by_hand():
    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros(4, 1, 1, dtype=torch.float64))

        def forward(self, x):
            x = self.stem(x)
            if self.training:
                self.mean.mul_(0.9).add_(x.detach().mean((0, 2, 3))[:, None, None] * 0.1)
            return self.classify(x - self.mean)

    network = Keeps()
    checked(network, SIZE, [(4, 8, 8)])
    assert network.mean.abs().sum() > 0
    network.eval()
    checked(network, SIZE, [(4,)])


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
