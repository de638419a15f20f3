"""A random network that stays frozen is alive: branches speak, and statistics are those of the images."""

import dataclasses

import pytest
import torch
from torch import nn

from bench.engine.common.controls import enliven
from bench.engine.common.start import start
from bench.modalities.pixels import prepare
from bench.network.build import build_network
from bench.spec.recipe import Recipe, head_only, uniform
from bench.spec.refs import BackboneRef, NewHead, Weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


def built(name, **options):
    return build_network(BackboneRef(name, options, "coarse", Weights("random")), toys.CLASSES, 0, NewHead())


def spec_of(network, phases):
    return toys.fit_spec(recipe=Recipe(phases=phases, init="random"))


def frozen(network, upto=0):
    return enliven(network, spec_of(network, head_only(network.num_units)), upto, toys.images())


def branch_gains(module):
    stages = (module.layer1, module.layer2, module.layer3, module.layer4)
    return [block.bn2.weight for stage in stages for block in stage]


def test_a_residual_network_of_timm_is_dead_before_and_alive_after():
    """Its blocks are their shortcuts: what the convolutions inside hold makes no difference."""
    network = built("resnet18")
    twin = built("resnet18")

    def differs():
        with torch.no_grad():
            for stage in (twin.module.layer1, twin.module.layer2):
                for block in stage:
                    block.conv1.weight.copy_(2 * torch.randn_like(block.conv1.weight))
            images = prepare(toys.images().values[0], toys.PIPELINE)
            both = [net.module.eval().forward_features(images) for net in (network, twin)]
        return not torch.allclose(*both)

    assert not any(gain.any() for gain in branch_gains(network.module))
    assert not differs()
    done = [frozen(net) for net in (network, twin)]
    assert done[0].gains == 8
    assert all((gain == 1).all() for gain in branch_gains(network.module))
    assert differs()


def test_statistics_are_those_of_the_training_images():
    """The first BatchNorm's mean, by hand from what reaches it."""
    network = built("resnet18")
    done = frozen(network)
    images = toys.images()
    assert done.statistics == sum(isinstance(m, nn.BatchNorm2d) for m in network.module.modules())
    with torch.no_grad():
        reached = network.module.conv1(prepare(images.values[0], toys.PIPELINE))
    assert len(images) <= 64  # one batch, so the mean over batches is the mean
    torch.testing.assert_close(network.module.bn1.running_mean, reached.mean((0, 2, 3)))
    torch.testing.assert_close(network.module.bn1.running_var, reached.transpose(0, 1).flatten(1).var(1))


def test_what_reaches_a_late_norm_was_normalised_by_the_norms_before_it():
    network = built("resnet18")
    frozen(network)
    values = []
    network.module.layer2[0].bn1.register_forward_pre_hook(lambda module, given: values.append(given[0]))
    with torch.no_grad():
        network.module.eval()(prepare(toys.images().values[0], toys.PIPELINE))
    found, expected = network.module.layer2[0].bn1.running_mean, values[0].mean((0, 2, 3))
    torch.testing.assert_close(found, expected, atol=0.02, rtol=0)  # a batch's variance is biased, a running one is not
    assert expected.abs().max() > 0.2


@pytest.mark.parametrize(("name", "options", "gains"), [
    ("vit_tiny_patch16_224", {"img_size": 16, "depth": 2, "init_values": 1e-5}, 4),  # LayerScale
    ("cait_xxs24_224", {"img_size": 16, "depth": 2}, 8),  # gammas of its own, two more blocks for the class token
    ("convnext_atto", {"depths": (1, 1, 1, 1)}, 4),
    ("dm_nfnet_f0", {}, 12),  # skipinit
    ("vit_tiny_patch16_224", {"img_size": 16, "depth": 2}, 0),
])  # fmt: skip
def test_layer_scales_are_found_and_nothing_else(name, options, gains):
    network = built(name, **options)
    before = {key: parameter.detach().clone() for key, parameter in network.module.named_parameters()}
    done = frozen(network)
    assert (done.gains if done else 0) == gains
    changed = [p for key, p in network.module.named_parameters() if not torch.equal(p, before[key])]
    assert len(changed) == gains
    assert all((p == 1).all() for p in changed)


def test_what_learns_keeps_the_start_of_its_architecture():
    network = built("resnet18")
    before = {key: tensor.clone() for key, tensor in network.module.state_dict().items()}
    assert enliven(network, spec_of(network, uniform([1.0] * network.num_units)), 0, toys.images()) is None
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.module.state_dict().items())


def test_what_is_pretrained_keeps_what_it_learned():
    network = built("resnet18")
    before = {key: tensor.clone() for key, tensor in network.module.state_dict().items()}
    done = frozen(network, upto=3)
    names = network.names_below(3)
    now = network.module.state_dict()
    assert all(torch.equal(now[key], before[key]) for key in names)
    assert 0 < done.gains < 8


def test_a_frozen_random_stem_is_enlivened_and_what_learns_behind_it_is_not():
    network = built("resnet18")
    rates = [0.0, 0.0, *[1.0] * (network.num_units - 2)]
    done = enliven(network, spec_of(network, uniform(rates)), 0, toys.images())
    assert done.gains == 2
    assert not network.module.layer4[0].bn2.weight.any()
    assert not network.module.layer4[0].bn2.running_mean.any()


def test_the_record_tells(tmp_path):
    context = toys.context(tmp_path)
    spec = toys.fit_spec(recipe=toys.recipe("random_features", 6))
    assert start(spec, context).enlivened.statistics > 0
    _, final = toys.everything(context, spec)
    assert final.result["enlivened"] == dataclasses.asdict(start(spec, context).enlivened)
    _, plain = toys.everything(context, toys.fit_spec())
    assert plain.result["enlivened"] is None


def test_other_labels_other_statistics_and_no_table_of_the_first_is_read(tmp_path):
    """One network serves two tasks; what was computed of its frozen part for one is not the other's."""
    context = toys.context(tmp_path)
    few, many = (toys.fit_spec(recipe=toys.recipe("random_features", 6),
                               budget=dataclasses.replace(toys.fit_spec().budget, amount=amount))
                 for amount in (4.0, 12.0))  # fmt: skip
    toys.everything(context, few)
    _, after = toys.everything(context, many)
    _, alone = toys.everything(toys.context(tmp_path / "other"), many)
    assert after.result["score"] == alone.result["score"]
    assert after.result["loss"] == pytest.approx(alone.result["loss"], rel=1e-6)
