"""Randomness, control flow and memory that is written to: right, or refused with a reason."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.partition import Cut, cut
from tests.engine.cutting import SIZE, Net, refused
from tests.engine.test_partition import checked, images_of


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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
def test_dropout_behind_the_cut_draws_in_the_order_of_the_whole_networks_memory(layout):
    """Its mask follows the layout of what it is given, and what is kept lies in rows."""
    torch.manual_seed(0)
    before, after = nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(8, 5, 1)
    end = (nn.AdaptiveAvgPool2d(1), nn.Flatten())
    network = nn.Sequential(before, nn.ReLU(), nn.Dropout(0.5), after, *end)
    network.to(memory_format=layout).train()
    before.requires_grad_(False)
    images = torch.randn(4, 3, 12, 12).contiguous(memory_format=layout)
    parts = cut(network, images)
    assert isinstance(parts, Cut), parts
    with torch.random.fork_rng():
        torch.manual_seed(1)
        whole = network(images)
        torch.manual_seed(1)
        kept = [value.clone(memory_format=torch.contiguous_format) for value in parts.static(images)]
        torch.testing.assert_close(parts.live_train(*kept), whole)
