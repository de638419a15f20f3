"""Networks that published checkpoints fit: He et al.'s for CIFAR, torchvision's, and a hub's files on disk."""

import pytest
import timm
import torch
import torchvision

from bench import backbones
from bench.backbones import hub
from bench.backbones.torchvision_names import index
from bench.errors import BenchError
from bench.network.build import build_network, load_pretrained, read_state
from bench.network.weights import WeightsError
from bench.planning import probe
from bench.spec.refs import BackboneRef, Weights
from bench.suite.schema import BackboneSpec

LAYERS = {3: (20, 269_722), 5: (32, 464_154), 9: (56, 853_018)}  # with ten classes; layers that have weights


def built(name, classes=10, units="coarse", **options):
    return build_network(BackboneRef(name, options, units, Weights("random")), classes, 0)


@pytest.mark.parametrize("blocks", LAYERS)
def test_cifar_resnets_have_the_published_sizes(blocks):
    net = built("cifar_resnet", blocks=blocks)
    layers = [m for m in net.module.modules() if isinstance(m, torch.nn.Conv2d | torch.nn.Linear)]
    assert (len(layers), sum(p.numel() for p in net.module.parameters())) == LAYERS[blocks]
    assert net.unit_names == ("stem", "layer1", "layer2", "layer3", "head")
    assert net.module.eval()(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_option_a_takes_every_second_pixel_and_pads_channels_on_both_sides():
    block = built("cifar_resnet").module.layer2[0]
    x = torch.randn(1, 16, 8, 8)
    out = block.shortcut(x)
    assert out.shape == (1, 32, 4, 4)
    assert torch.equal(out[:, 8:24], x[:, :, ::2, ::2])
    assert not out[:, :8].any()
    assert not out[:, 24:].any()


def test_torchvision_names_are_read_as_torchvision_has_them():
    real = set(torchvision.models.list_models(module=torchvision.models))
    assert set(index()) == real
    for name in ("resnet50", "squeezenet1_1", "vit_b_16", "efficientnet_b0"):
        weights = torchvision.models.get_model_weights(name)
        assert index()[name][0] == weights.DEFAULT.name
        assert set(index()[name]) == {one.name for one in weights}


@pytest.mark.parametrize(
    ("name", "units"),
    [("squeezenet1_1", 10), ("resnet18", 6), ("mobilenet_v2", 20), ("vit_b_16", 14), ("densenet121", 6),
     ("convnext_tiny", 9), ("regnet_x_400mf", 6), ("efficientnet_b0", 10), ("shufflenet_v2_x0_5", 5), ("swin_t", 9),
     ("maxvit_t", 6), ("mnasnet0_5", None), ("vgg11_bn", None)],
)  # fmt: skip
def test_torchvisions_networks_divide_into_units(name, units):
    module = torchvision.models.get_model(name, num_classes=7)
    from bench.backbones.torchvision_models import adapted
    from bench.network.units import cut_into_units

    net = cut_into_units(adapted(module, 7), coarse=True)
    assert net.unit_names[0] == "stem"
    assert net.unit_names[-1] == "head"
    assert len(net.unit_names) >= 5
    assert units is None or abs(len(net.unit_names) - units) <= 1
    first = next(iter(dict(module.named_parameters())))
    assert first in net.parameters[0]
    assert not {n for n in net.parameters[0] if n.startswith(("layer1.", "stage2.", "encoder.ln", "norm"))}
    norms = [n for n, m in module.named_modules() if isinstance(m, torch.nn.LayerNorm | torch.nn.BatchNorm2d)]
    last = [n for n in norms if n.startswith(("encoder.ln", "norm", "features.norm5"))]
    assert all(f"{n}.weight" in net.parameters[-2] for n in last)
    assert {n for unit in net.parameters for n in unit} == {n for n, _ in module.named_parameters()}


def test_a_torchvision_checkpoint_loads_under_its_own_names(tmp_path, monkeypatch):
    monkeypatch.setenv("BENCH_DATA", str(tmp_path))
    torch.manual_seed(3)
    original = torchvision.models.squeezenet1_1(num_classes=1000)
    name = "torchvision:squeezenet1_1.IMAGENET1K_V1"
    (tmp_path / "weights").mkdir()
    torch.save(original.state_dict(), tmp_path / "weights" / hub.file_name(name, ".pth"))
    path = hub.find(name)
    ref = BackboneRef("torchvision:squeezenet1_1", {}, "coarse", Weights("hub", f"{name}@x"))
    net = built("torchvision:squeezenet1_1", 5)
    loaded = load_pretrained(net, read_state(ref, path), net.num_units)
    assert loaded.matched == loaded.expected == 50
    assert loaded.dropped == ("classifier.1.weight", "classifier.1.bias")
    assert torch.equal(net.module.features[0].weight, original.features[0].weight)


def test_torchvision_facts_come_from_the_weights(tmp_path):
    (facts,) = probe.facts_for([(BackboneSpec(name="torchvision:squeezenet1_1"), None)], tmp_path)
    assert facts.mean == (0.485, 0.456, 0.406)
    assert facts.image_size == 224
    assert facts.has_hub_weights


def test_a_wrong_name_of_torchvision_is_told_the_nearest():
    with pytest.raises(BenchError, match="did you mean 'torchvision:squeezenet1_"):
        backbones.find("torchvision:squeezenet11")
    with pytest.raises(BenchError, match="IMAGENET1K_V2"):
        backbones.find("torchvision:resnet50.IMAGENET1K_V3")
    assert backbones.full_name("torchvision:resnet50") == "torchvision:resnet50.IMAGENET1K_V2"


def test_a_hubs_file_is_read_by_timms_own_rules(tmp_path):
    """A ViT for images of another size: its position table is made larger."""
    torch.manual_seed(0)
    original = timm.create_model("test_vit.r160_in1k", pretrained=False)
    path = tmp_path / "test_vit.r160_in1k.pth"
    torch.save(original.state_dict(), path)
    ref = BackboneRef("test_vit.r160_in1k", {"img_size": 320}, "coarse", Weights("hub", "test_vit.r160_in1k@x"))
    net = built("test_vit.r160_in1k", 5, img_size=320)
    loaded = load_pretrained(net, read_state(ref, path), net.num_units)
    assert loaded.matched == loaded.expected
    assert net.module.pos_embed.shape[1] > original.pos_embed.shape[1]


def test_a_hubs_file_of_another_network_is_refused(tmp_path):
    path = tmp_path / "x.pth"
    torch.save({"conv.weight": torch.zeros(3)}, path)
    ref = BackboneRef("resnet18.a1_in1k", {}, "coarse", Weights("hub", "resnet18.a1_in1k@x"))
    with pytest.raises(WeightsError, match="x.pth: not the weights of resnet18.a1_in1k"):
        read_state(ref, path)
