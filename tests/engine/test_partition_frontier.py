"""What crosses a cut: layouts, constants, sizes of batches, images that are mixed."""


import torch
from torch import nn
from torch.nn import functional as F

from bench.engine import partition
from tests.engine.cutting import SIZE, Net, refused
from tests.engine.test_partition import checked


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
