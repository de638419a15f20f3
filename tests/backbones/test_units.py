"""Cutting networks into units: nothing is left over, nothing is claimed twice, and the order is the order of use."""

import pytest
import timm
import torch
from torch import nn

from bench.engine.train.evaluate import evaluate
from bench.network.units import cut_into_units
from bench.spec.recipe import Learning
from tests.engine import toys

# name -> coarse units' names, and how many fine ones there are
FAMILIES = {
    "resnet18": (("stem", "layer1", "layer2", "layer3", "layer4", "head"), 10),
    "resnet50": (("stem", "layer1", "layer2", "layer3", "layer4", "head"), 18),
    "efficientnet_b0": (("stem", "blocks.0.0", *(f"blocks.{i}" for i in range(1, 6)), "blocks.6.0", "head"), 18),
    "vit_tiny_patch16_224": (("stem", *(f"blocks.{i}" for i in range(12)), "head"), 14),
    "swin_tiny_patch4_window7_224": (("stem", *(f"layers.{i}.blocks" for i in range(4)), "head"), 14),
    "convnext_atto": (("stem", *(f"stages.{i}.blocks" for i in range(4)), "head"), 14),
    "densenet121": (("stem", *(f"features.denseblock{i}" for i in range(1, 5)), "head"), 60),
    "mobilenetv3_small_050": (("stem", "blocks.0.0", *(f"blocks.{i}" for i in range(1, 5)), "blocks.5.0", "head"), 14),
    "regnetx_002": (("stem", "s1.b1", "s2.b1", "s3", "s4", "head"), 15),
}


@pytest.fixture(scope="module")
def built():
    """Name -> module without memory, built once."""
    kept = {}

    def build(name):
        if name not in kept:
            with torch.device("meta"):
                kept[name] = timm.create_model(name, num_classes=5)
        return kept[name]

    return build


@pytest.mark.parametrize("coarse", [True, False])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_tensor_has_exactly_one_unit(built, name, coarse):
    module = built(name)
    net = cut_into_units(module, coarse)
    parameters = [tensor for unit in net.parameters for tensor in unit]
    assert sorted(parameters) == sorted(tensor for tensor, _ in module.named_parameters())
    buffers = [buffer for unit in net.buffers for buffer in unit]
    # Constants that no state dict has are nobody's.
    assert sorted(buffers) == sorted(name for name, _ in module.named_buffers() if name in module.state_dict())
    assert all(net.parameters)
    assert {id(p) for p in net.parameters[-1].values()} == {id(p) for p in module.get_classifier().parameters()}
    assert net.buffers[-1] == ()
    assert net.names_below(net.num_units) == {*parameters, *buffers}
    assert not net.names_below(0)


@pytest.mark.parametrize("name", FAMILIES)
def test_units_and_their_names(built, name):
    names, num_fine = FAMILIES[name]
    assert cut_into_units(built(name), coarse=True).unit_names == names
    fine = cut_into_units(built(name), coarse=False)
    assert fine.num_units == num_fine
    assert len(set(fine.unit_names)) == num_fine
    assert (fine.unit_names[0], fine.unit_names[-1]) == ("stem", "head")


@pytest.mark.parametrize("name", FAMILIES)
def test_the_stem_takes_the_image(built, name):
    """The first unit holds the tensor that sees three channels, and it is the only one that does."""
    net = cut_into_units(built(name), coarse=True)
    see = [[n for n, p in unit.items() if p.ndim == 4 and p.shape[1] == 3] for unit in net.parameters]
    assert len(see[0]) == 1
    assert not any(see[1:])


@pytest.mark.parametrize("coarse", [True, False])
@pytest.mark.parametrize("name", FAMILIES)
def test_a_frozen_unit_is_frozen_wholly(built, name, coarse):
    """Every module below the cut is in eval mode, dropout and normalisation alike; above it all are in train mode."""
    module = built(name)
    net = cut_into_units(module, coarse)
    cut = net.num_units // 2
    module.train()
    net.set_active(Learning(tuple(unit >= cut for unit in range(net.num_units))))
    assert not any(p.requires_grad for unit in net.parameters[:cut] for p in unit.values())
    assert all(p.requires_grad for unit in net.parameters[cut:] for p in unit.values())
    leaves = [child for child in module.modules() if not list(child.children())]
    claimed = [child for unit in net.modules for child in unit]
    assert len(claimed) == len({id(child) for child in claimed})
    assert {id(leaf) for leaf in leaves} <= {id(child) for child in claimed}
    assert not any(child.training for unit in net.modules[:cut] for child in unit)
    assert all(child.training for unit in net.modules[cut:] for child in unit)
    net.set_active(Learning((True,) * net.num_units))
    assert all(child.training for child in claimed)


# Small enough to run: the option that makes each so.
RUNNABLE = {
    "resnet18": {},
    "mobilenetv3_small_050": {},
    "vit_tiny_patch16_224": {"img_size": 32, "depth": 3},
    "densenet121": {"block_config": (2, 2, 2, 2)},
}


@pytest.mark.parametrize("coarse", [True, False])
@pytest.mark.parametrize("name", RUNNABLE)
def test_units_stand_in_the_order_of_the_forward_pass(name, coarse):
    module = timm.create_model(name, num_classes=5, **RUNNABLE[name]).eval()
    net = cut_into_units(module, coarse)
    weighted = {id(m): unit for unit, ms in enumerate(net.modules) for m in ms if m._parameters or m._buffers}
    met = []
    for child in module.modules():
        if id(child) in weighted:
            child.register_forward_pre_hook(lambda m, _: met.append(weighted[id(m)]))
    with torch.no_grad():
        module(torch.zeros(1, 3, 32, 32))
    assert met == sorted(met)
    assert set(met) == set(range(net.num_units))


@pytest.mark.usefixtures("tiny")
def test_dropout_after_the_stem_belongs_to_the_stem():
    """timm's matcher leaves it unmatched; counted to the last block it would go on dropping frozen features."""
    net = toys.network("toy_vit")
    place = {id(child): unit for unit, children in enumerate(net.modules) for child in children}
    assert isinstance(net.module.pos_drop, nn.Dropout)
    assert place[id(net.module.pos_drop)] == 0
    assert place[id(net.module.head_drop)] == net.num_units - 2


@pytest.mark.usefixtures("tiny")
@pytest.mark.parametrize("toy", toys.TOYS)
def test_evaluation_leaves_every_mode_as_it_was(toy):
    net = toys.network(toy)
    net.module.train()
    net.set_active(Learning(tuple(unit % 2 == 0 for unit in range(net.num_units))))
    modes = [child.training for child in net.module.modules()]
    assert len(set(modes)) == 2
    evaluate(net.module, toys.images("test"), toys.PIPELINE)
    assert [child.training for child in net.module.modules()] == modes


def test_a_network_without_a_classifier_is_refused():
    with torch.device("meta"):
        module = timm.create_model("resnet18", num_classes=0)
    with pytest.raises(ValueError, match="ResNet has no classifier with parameters to use as the head"):
        cut_into_units(module, coarse=True)
