"""Networks with a trap in their forward: right, or refused with a reason."""

import random

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.reuse.cut import Cut, cut
from bench.engine.reuse.replay import Static
from tests.engine.cuts import Net, assert_near, checked, images_of, network_of, refused


def test_a_network_that_raises_runs_whole():
    class Raises(Net):
        def forward(self, x):
            raise KeyError("first line\nsecond line")

    assert refused(Raises()) == r"could not be cut: KeyError: 'first line\nsecond line'"


def test_what_comes_after_noise_is_not_kept():
    class Middle(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.side(self.middle(F.relu(x + torch.randn_like(x)))))

    found = checked(network_of(Middle()))
    assert found.names == ("stem:0:0",)

    class Input(Net):
        def forward(self, x):
            return self.classify(self.side(self.stem(x + torch.rand_like(x))))

    assert refused(Input()) == "no frozen module gives the same output in every step"


def test_noise_that_nothing_reads_moves_the_generator():
    class Idle(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            torch.rand_like(x)
            return self.classify(F.dropout(self.side(x), 0.5, training=True))

    checked(network_of(Idle()))


def test_numbers_drawn_by_python_are_put_back():
    class Draws(Net):
        def forward(self, x):
            random.random()
            return self.classify(self.side(self.middle(self.stem(x))))

    before = random.getstate()
    assert isinstance(cut(network_of(Draws()), images_of(2)), Cut)
    assert random.getstate() == before


def test_a_module_that_is_called_again_by_what_learns():
    class Again(Net):
        def forward(self, x):
            return self.classify(self.middle(self.side(self.middle(self.stem(x)))))

    assert checked(network_of(Again())).names == ("middle:0:0",)


def test_a_frozen_module_behind_what_learns_keeps_its_gradient():
    """`middle` is frozen and reads `side`: only the stem can be kept."""

    class Behind(Net):
        def forward(self, x):
            return self.classify(self.middle(self.side(self.stem(x))))

    assert checked(network_of(Behind())).names == ("stem:0:0",)


def test_images_of_a_batch_that_are_mixed():
    class Mean(nn.Module):
        def forward(self, x):
            return x - x.mean(0, keepdim=True)

    class Mixes(Net):
        def prepare(self):
            self.mean = Mean()

        def forward(self, x):
            return self.classify(self.side(self.mean(self.stem(x))))

    assert refused(Mixes()) == "the features of an example depend on the rest of its batch"


class Windows(nn.Module):
    """[B, 4, 8, 8] -> [4 * B, 4, 4, 4]; `across`: the windows of an image lie far apart."""

    def __init__(self, across):
        super().__init__()
        self.across = across

    def forward(self, x):
        parts = x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 1, 3, 5)
        parts = parts.flatten(1, 2)
        return (parts.transpose(0, 1) if self.across else parts).flatten(0, 1)


@pytest.mark.parametrize("across", [False, True])
def test_windows_are_features_of_their_image(across):
    class Cuts(Net):
        def prepare(self):
            self.windows = Windows(across)

        def forward(self, x):
            x = self.side(self.windows(self.stem(x)))
            x = x.unflatten(0, (4, -1)).transpose(0, 1) if across else x.unflatten(0, (-1, 4))
            return self.head(x.mean((1, 3, 4)))

    if across:
        assert refused(Cuts()) == "the features of an example depend on the rest of its batch"
    else:
        assert [f.shape[1:] for f in checked(network_of(Cuts())).static(images_of(3))] == [(4, 4, 4, 4)]


def test_tuples_and_other_values():
    class Two(nn.Module):
        def forward(self, x):
            return {"twice": 2 * x, "name": "two", "rest": [x + 1, None]}

    class Reads(Net):
        def prepare(self):
            self.two = Two()

        def forward(self, x):
            found = self.two(self.stem(x))
            assert found["name"] == "two"
            return self.classify(self.side(found["twice"]) * found["rest"][0])

    assert len(checked(network_of(Reads())).names) == 2


def test_statistics_that_learn_from_the_live_part():
    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

        def forward(self, x):
            x = self.middle(self.stem(x)) - self.mean
            if self.training:
                self.mean.add_(x.mean())
            return self.classify(self.side(x))

    checked(network_of(Keeps()))


def test_statistics_of_what_lies_before_the_cut():
    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

        def forward(self, x):
            if self.training:
                self.mean.add_(x.mean())
            return self.classify(self.side(self.middle(self.stem(x))))

    assert checked(network_of(Keeps())).names == ("middle:0:0", "input")


def test_another_way_in_training():
    class Deeper(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.side(self.middle(x) if self.training else x))

    assert refused(Deeper()) == "training and evaluation call different frozen modules"


def test_a_gradient_that_is_stopped_inside():
    class Stops(Net):
        def forward(self, x):
            x = self.side(self.middle(self.stem(x)))
            with torch.no_grad():
                gate = x.sigmoid()
            return self.classify(x * gate)

    checked(network_of(Stops()))


def test_more_than_logits():
    class Two(Net):
        def forward(self, x):
            x = self.side(self.stem(x))
            return self.classify(x), x

    assert refused(Two()) == "it returns more than logits"


def test_an_activation_that_serves_twice():
    """Cuts at two depths want the first and the second of its outputs."""

    class Shares(Net):
        def prepare(self):
            self.act = nn.Tanh()

        def forward(self, x):
            return self.classify(self.side(self.act(self.middle(self.act(self.stem(x))))))

    network = network_of(Shares())
    found = checked(network)
    assert found.names == ("act:1:0",)
    module, images = network.module, images_of(3)
    first = next(call for call in found.live.replay.static if call.name == ("act", 0))
    both = Static(module, (first, *found.static.calls), False)
    one, two = both(images)
    assert_near(one, module.act(module.stem(images)), "the first")
    assert_near(two, module.act(module.middle(one)), "the second")


def test_what_depends_on_the_size_of_the_batch_is_not_frozen_at_one_size():
    class Sized(nn.Module):
        def forward(self, x):
            return x, len(x)

    class Divides(Net):
        def prepare(self):
            self.sized = Sized()

        def forward(self, x):
            x, num = self.sized(self.stem(x))
            return self.classify(self.side(x)) / num

    assert refused(Divides()) == "the output of sized changes with the size of the batch"


def test_a_head_that_is_not_all_there_is_in_evaluation():
    class Tempered(Net):
        def prepare(self):
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

        def forward(self, x):
            y = self.head(self.pool(self.stem(x)))
            return y if self.training else y / 3

    assert checked(network_of(Tempered(), first="head")).live.only_head is None


def test_a_table_of_positions_is_made_again():
    """The last frozen module to be called needs no images."""

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(1, 4, 8, 8))

        def forward(self):
            return 2 * self.table

    class Adds(Net):
        def prepare(self):
            self.positions = Positions()

        def forward(self, x):
            return self.classify(self.side(self.stem(x) + self.positions()))

    assert checked(network_of(Adds())).names == ("stem:0:0",)


def test_a_mistake_behind_a_head_of_zeros_is_found(monkeypatch):
    """Logits of a fresh head are zeros, whatever it is given."""

    class Plain(Net):
        def forward(self, x):
            return self.classify(self.side(self.middle(self.stem(x))))

    network = network_of(Plain())
    with torch.no_grad():
        network.module.head.weight.zero_()
        network.module.head.bias.zero_()
    checked(network)
    from bench.engine.reuse import replay

    right = replay.Static.__call__
    monkeypatch.setattr(replay.Static, "__call__", lambda self, images: tuple(f + 1e-2 for f in right(self, images)))
    assert refused(network.module).endswith("the live part reads more than is kept")
