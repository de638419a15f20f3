"""A penalty in the middle of a training, for tests of what it makes of the loss."""

import torch
from torch.nn import functional as F

from bench.engine.train.setting import TrainingStep
from bench.modalities.pixels import prepare
from bench.network.capture import watched
from tests.engine import toys


def batch(num=8):
    images = toys.images().take(torch.arange(num))
    return prepare(images.values[0], toys.PIPELINE), images.labels


def under_way(name, toy="toy_conv", number=0, phase=0, **options):
    """A penalty that has begun, and a step of it, on a network that has moved a little."""
    net = toys.network(toy)
    recipe = toys.recipe(name, net.num_units, **options)
    setting = toys.setting_of(net)
    term = recipe.penalty.begin(setting)
    with torch.no_grad():
        for p in net.module.parameters():
            p += 0.01 * torch.randn_like(p)
    net.module.eval()
    x, y = batch()
    with watched(net, units=True) as seen:
        logits = net.module(x)
    loss = F.cross_entropy(logits, y)
    units = [seen.units[unit] for unit in sorted(seen.units)]
    step = TrainingStep(number, phase, net, x, y, logits, loss, seen.features[0], units)
    return recipe.penalty, setting, term, step


def beside(penalty, term, step):
    """What the objective has beside the labels' loss, pulls included."""
    named = dict(step.network.module.named_parameters())
    pulled = sum(pull.value(named[name]) for name, pull in penalty.pulls(term, step.network).items())
    return penalty.loss(term, step) - step.loss + pulled


def extra(penalty, term, step):
    return beside(penalty, term, step).item()
