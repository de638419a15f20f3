"""Memory that is written to, remembered, or laid out in an order: a cut network treats it as the whole one does."""


import pytest
import torch
from torch import nn
from torch.nn import functional as F

from bench.engine.reuse.cut import Cut, cut
from tests.engine.cuts import Net, assert_near, checked, images_of, network_of, refused


def test_a_frozen_value_that_is_overwritten_in_place():
    class After(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            early = x + 1
            x.relu_()
            return self.classify(early * self.side(x))

    assert checked(network_of(After())).names == ("middle:0:0",)

    class Before(Net):
        def forward(self, x):
            x = self.stem(x)
            early = x * 2
            return self.classify(early * self.side(self.middle(x.relu_())))

    assert checked(network_of(Before())).names == ("stem:0:0", "middle:0:0")

    class Module(Net):
        """What the live part reads of the stem is what the module behind it has overwritten."""

        def prepare(self):
            self.act = nn.ReLU(inplace=True)

        def forward(self, x):
            x = self.stem(x)
            y = self.middle(self.act(x))
            return self.classify(x * self.side(y))

    assert refused(Module()).endswith("the live part reads more than is kept")


def test_the_features_stay_as_they_were():
    class Adds(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            x.add_(self.side(x))
            return self.classify(x)

    network = network_of(Adds())
    found = cut(network, images_of(2))
    images = images_of(3)
    kept = images.clone()
    (features,) = found.static(images)
    assert torch.equal(images, kept)
    assert torch.equal(features, network.module.middle(network.module.stem(images)))


def test_a_value_remembered_in_evaluation():
    """As LeViT keeps its attention biases, made from parameters that learn, until `train` is called."""

    class Remembers(Net):
        def prepare(self):
            self.kept = {}

        def train(self, mode=True):
            self.kept = {}
            return super().train(mode)

        def forward(self, x):
            bias = self.side.bias[:, None, None] * 2
            if not self.training:
                bias = self.kept.setdefault("bias", bias)
            return self.classify(self.stem(x) + bias)

    checked(network_of(Remembers()))


def test_a_table_is_laid_out_as_the_module_would():
    """Rows of places, as transformers' stems put them out: a random mask follows the order in memory."""

    class Rows(nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(1, 2)

    class Drops(Net):
        def prepare(self):
            self.rows = Rows()

        def forward(self, x):
            x = F.dropout(self.rows(self.stem(x)), 0.5, self.training)
            return self.head(x.mean(1))

    checked(network_of(Drops()))


def test_what_the_network_writes_to_is_its_own():
    class Adds(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            x += self.side(x)
            return self.classify(x)

    found, images = cut(network_of(Adds()), images_of(2)), images_of(3)
    features = found.static(images)
    kept = [one.clone() for one in features]
    found.live(*features)
    assert all(map(torch.equal, features, kept))


def test_nothing_is_remembered_of_weights_that_were_moved():
    class Remembers(Net):
        def prepare(self):
            self.kept = []

        def forward(self, x):
            self.kept.append(float(self.side.weight.sum()))
            return self.classify(self.side(self.middle(self.stem(x))))

    network = network_of(Remembers())
    assert isinstance(cut(network, images_of(2)), Cut)
    assert network.module.kept == []


def test_an_error_in_the_middle_leaves_no_answers_behind():
    class Plain(Net):
        fails = False

        def forward(self, x):
            x = self.middle(self.stem(x))
            if self.fails:
                raise RuntimeError("in the middle")
            return self.classify(self.side(x))

    network = network_of(Plain())
    found, images = cut(network, images_of(2)), images_of(3)
    features = found.static(images)
    expected = found.live(*features)
    network.module.fails = True
    with pytest.raises(RuntimeError, match="in the middle"):
        found.live(*features)
    network.module.fails = False
    assert "forward" not in vars(network.module.stem)
    assert_near(network.module(images), expected, "the whole network")


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
def test_dropout_behind_the_cut_draws_in_the_order_of_the_networks_memory(layout):
    class Drops(Net):
        def forward(self, x):
            return self.classify(self.side(F.dropout(self.middle(self.stem(x)), 0.5, self.training)))

    module = Drops().to(memory_format=layout)
    network = network_of(module)
    images = images_of(4).contiguous(memory_format=layout)
    found = cut(network, images)
    torch.manual_seed(1)
    whole = module(images)
    torch.manual_seed(1)
    assert_near(found.live(*[value.contiguous() for value in found.static(images)]), whole, "logits")
