"""What `precision: auto` comes to: by what a machine computes in and what a network is made of, never by a clock."""

import pytest

from bench.backbones import BACKBONES
from bench.backbones.base import BackboneEntry, BackboneFacts
from bench.planning import precision, probe
from bench.planning.precision import PLAIN, Machine, choose, machine_of
from bench.spec.refs import arithmetic_key
from tests.conftest import CONV_UNITS, HALF, build_toy_conv
from tests.planning.conftest import SMALL

AMX = Machine("CPU", True, "the CPU computes in bf16 (AMX)")
GPU = machine_of(True, 9.0)


@pytest.mark.parametrize(
    ("capability", "used"), [(9.0, "bf16"), (8.0, "bf16"), (8.6, "bf16"), (7.5, "fp32"), (7.0, "fp32"), (None, "fp32")]
)
def test_a_gpu_computes_in_bf16_from_ampere_on(capability, used):
    """Turing (7.5) and Volta (7.0) have float16 units only; CUDA emulates bf16 there."""
    machine = machine_of(True, capability)
    assert machine.precision == used
    for is_depthwise in (False, True):
        assert choose("auto", machine, is_depthwise).used == used
    assert str(capability) in machine.why or capability is None


@pytest.mark.parametrize(
    ("flags", "used"),
    [({"amx_bf16", "avx512_bf16"}, "bf16"), ({"avx512_bf16"}, "bf16"), ({"avx2"}, "fp32"), ((), "fp32")],
)
def test_a_cpu_by_its_flags(monkeypatch, flags, used):
    monkeypatch.setattr(precision, "_cpu_flags", lambda: frozenset(flags))
    assert machine_of(False).precision == used
    assert choose("auto", machine_of(False), is_depthwise=False).used == used


def test_depthwise_convolutions_stay_in_fp32_on_a_cpu_alone():
    choice = choose("auto", AMX, is_depthwise=True)
    assert (choice.used, choice.why) == ("fp32", "depthwise convolutions are slower in bf16 on a CPU")
    assert choose("auto", AMX, is_depthwise=False).used == "bf16"
    assert choose("bf16", AMX, is_depthwise=True).used == "bf16"  # who asks for it gets it
    assert choose("fp32", GPU, is_depthwise=False).used == "fp32"


# As their papers have them.
DEPTHWISE = ("mobilenetv2_035", "mobilenetv3_small_050", "efficientnet_b0", "convnext_atto", "mnasnet_small",
             "torchvision:shufflenet_v2_x0_5", "torchvision:mobilenet_v2")  # fmt: skip
OTHERS = ("resnet18", "vit_tiny_patch16_224", "vgg11", "densenet121", "regnetx_002", "resnext50_32x4d",
          "torchvision:squeezenet1_1")  # fmt: skip


@pytest.mark.parametrize("name", [*DEPTHWISE, *OTHERS])
def test_the_probe_tells_depthwise_networks(name):
    answer = probe._answer({"name": name, "units": "coarse", "options": {}})
    assert answer["is_depthwise"] is (name in DEPTHWISE)


def test_entries_of_the_catalogue_tell_it_themselves():
    from torch import nn

    for entry in (entry for entry in BACKBONES.values() if entry.found is None):
        module = entry.build(3, entry.options())
        grouped = [m for m in module.modules() if isinstance(m, nn.Conv2d) and m.weight.shape[1] == 1 < m.in_channels]
        assert entry.facts.is_depthwise is bool(grouped)


@pytest.fixture
def depthwise(monkeypatch, folder):
    facts = BackboneFacts(CONV_UNITS, HALF, HALF, is_depthwise=True)
    monkeypatch.setitem(BACKBONES, "toy_depthwise", BackboneEntry("toy_depthwise", "", facts, build_toy_conv))


BOTH = SMALL.replace("repeats: 2", "repeats: 1").replace("strategies:", "  - {name: toy_depthwise}\nstrategies:")


@pytest.mark.parametrize(
    ("machine", "plain", "deep"),
    [(AMX, "bf16", "fp32"), (GPU, "bf16", "bf16"), (machine_of(True, 7.5), "fp32", "fp32"), (PLAIN, "fp32", "fp32")],
)
def test_every_backbone_of_a_suite_has_its_own(plan, depthwise, machine, plain, deep):
    made = plan(BOTH, machine=machine)
    found = {(job.spec.backbone.name, job.spec.training.precision) for job in made.jobs.values() if job.kind == "final"}
    assert found == {("toy_conv", plain), ("toy_depthwise", deep)}
    spec = next(job.spec for job in made.jobs.values() if job.spec.backbone.name == "toy_depthwise")
    assert made.arithmetic[arithmetic_key(spec.backbone)] == choose("auto", machine, is_depthwise=True)


def test_why_is_in_no_key(plan, depthwise):
    others = Machine("CPU", True, "said otherwise")
    assert plan(BOTH, machine=AMX).jobs.keys() == plan(BOTH, machine=others).jobs.keys()
    assert plan(BOTH, machine=AMX).jobs.keys() != plan(BOTH, machine=GPU).jobs.keys()
