"""A trained network as a description and a state dict, and the same network made of these two again.

What timm builds itself needs nothing of ours: `use_timm.py`. Anything else is built here: `load`.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import timm
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save
from torch import Tensor, nn

from bench import backbones, modalities, strategies
from bench.backbones import torchvision_names
from bench.engine.train.precision import arithmetic
from bench.errors import BenchError
from bench.network.build import adapted, build_network
from bench.network.capture import classifier_of, in_eval_mode, watched
from bench.network.units import Network
from bench.solve.heads import LinearHead
from bench.spec.job import FitSpec
from bench.spec.parts import Head, Mixer
from bench.spec.recipe import Recipe
from bench.spec.refs import BackboneRef, NewHead, Weights
from bench.strategies.layers import weights
from bench.winner.use_timm import build as timm_network

DESCRIPTION, STATE = "network.json", "model.safetensors"


@dataclass(frozen=True)
class Described:
    """All but the tensors."""

    name: str  # of the architecture
    options: dict[str, Any]
    units: Literal["coarse", "fine"]
    num_classes: int
    head: dict[str, Any]  # of `NewHead`
    precision: str  # of the arithmetic around it: fp32, bf16
    built_by: Literal["timm", "bench"]
    # Of the strategy that built something into the network: its name and options; None: nothing was.
    strategy: dict[str, Any] | None = None
    classifier: Literal["trained", "computed", "computed of units"] = "trained"  # a computed one is in float64
    reads: Sequence[int] | None = None  # the units that it is computed of; None: all, each of length one
    width: int = 0  # numbers that such a classifier takes in
    are_likelihoods: bool = True  # whether softmax makes probabilities of what it says


def why_not(spec: FitSpec) -> str:
    """Why no network of this final can be handed on; "" where one can."""
    recipe = spec.recipe
    if recipe.own_head is not None:
        return "it is the checkpoint as it came: nothing was trained, and its own file is what to take"
    if recipe.soup is not None:
        return "it is a mean of its trials' weights, and these are not kept"
    if spec.deployed is not None:
        return "it is a mistake made on purpose in how a network is used"
    return ""


def describe(spec: FitSpec, network: Network, head: Head | None, named: dict[str, Any]) -> tuple[Described, nn.Module]:
    """And the module that this is of. `named`: name and options of the strategy. Raises BenchError where nothing that
    is written could make that module again."""
    backbone, training = spec.backbone, spec.training
    plain = Described(backbone.name, backbone.options, backbone.units, spec.data.num_classes, asdict(spec.head),
                      training.precision, "bench")  # fmt: skip
    if head is not None:
        made, module = _with_classifier(plain, network, head, spec)
        return _by_timm(made, module), module
    module = network.module
    with arithmetic(next(module.parameters()).device, training.precision):  # as the network itself did in each step
        weights.merge(module)
    for made in (plain, *_with_strategy(plain, named, spec)):
        if _shapes(build(made)) == _shapes(module):
            return _by_timm(made, module), module
    raise BenchError(f"what {named['name']} built into the network cannot be built again from its name and options; "
                     "choose another strategy with --strategy")  # fmt: skip


def _with_strategy(plain: Described, named: dict[str, Any], spec: FitSpec) -> list[Described]:
    """None where its name and options do not say what it built."""
    made = replace(plain, strategy=named)
    return [made] if spec.recipe.adapt is not None and _recipe(made, spec.recipe.num_units).adapt == spec.recipe.adapt \
        else []


def _with_classifier(plain: Described, network: Network, head: Head, spec: FitSpec) -> tuple[Described, nn.Module]:
    if not isinstance(head, LinearHead):
        raise BenchError(f"its classifier ({type(head).__name__}) keeps training examples and is no layer of a "
                         "network; choose another strategy with --strategy")  # fmt: skip
    solve = spec.recipe.solve
    assert solve is not None
    solver = solve.solver
    module: nn.Module
    plain = replace(plain, are_likelihoods=solve.form == "logistic")  # as its record is scored
    if isinstance(solver, Mixer) or (solver is not None and solver.reads == "units"):
        units = tuple(solver.read(_that_speak(network, spec))) if isinstance(solver, Mixer) else None
        made = replace(plain, classifier="computed of units", reads=units, width=head.weight.shape[1])
        reader = ReadsUnits(network, made)
        module, linear = reader, reader.classifier
    else:
        made = replace(plain, classifier="computed")
        module, linear = network.module, _in_double(network)
    with torch.no_grad():
        linear.weight.copy_(head.weight)
        linear.bias.copy_(head.bias)
    return made, module


def _that_speak(network: Network, spec: FitSpec) -> list[int]:
    """Units that put out one tensor each."""
    device = next(network.module.parameters()).device
    blank = modalities.of(spec.pipeline).handling().blank(spec.pipeline, 1, str(device))
    with torch.no_grad(), in_eval_mode(network.module), watched(network, units=True) as seen:
        network.module(blank)
    return sorted(seen.layers(network.num_units))


def _by_timm(made: Described, module: nn.Module) -> Described:
    """Where timm alone makes a network of these tensors. Whether it says the same is seen on the test examples."""
    is_timms = backbones.find(made.name) is None and not made.name.startswith(torchvision_names.PREFIX)
    if not is_timms or made.strategy is not None or made.reads is not None:
        return made
    alone = timm.create_model(made.name, pretrained=False, num_classes=made.num_classes, **made.options)
    return replace(made, built_by="timm") if _shapes(alone) == _shapes(module) else made


def _shapes(module: nn.Module) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in module.state_dict().items()}


def build(made: Described) -> nn.Module:
    """With weights of no meaning."""
    ref = BackboneRef(made.name, made.options, made.units, Weights("random"))
    network = build_network(ref, made.num_classes, 0, NewHead(**made.head))
    if made.strategy is not None:
        adapt = _recipe(made, network.num_units).adapt
        assert adapt is not None
        network = adapted(network, adapt, (made.units, 0))
    if made.classifier == "computed of units":
        return ReadsUnits(network, made)
    if made.classifier == "computed":
        _in_double(network)
    return network.module


def _recipe(made: Described, num_units: int) -> Recipe:
    assert made.strategy is not None
    entry = strategies.find(made.strategy["name"])
    return entry.build(entry.options.model_validate(made.strategy["options"]), num_units)


def _in_double(network: Network) -> nn.Linear:
    """Its classifier, as it was computed: in float64."""
    classifier = classifier_of(network).double()
    if "bias" not in classifier.state_dict():
        classifier.bias = nn.Parameter(classifier.weight.new_zeros(classifier.out_features))
    classifier.register_forward_pre_hook(lambda module, inputs: inputs[0].double())
    return classifier


class ReadsUnits(nn.Module):
    """A frozen network with a classifier for what its units put out."""

    def __init__(self, network: Network, made: Described) -> None:
        super().__init__()
        self.network, self.reads = network, made.reads
        self.body = network.module
        self.classifier = nn.Linear(made.width, made.num_classes, dtype=torch.float64)

    def forward(self, inputs: Tensor) -> Tensor:
        with watched(self.network, units=True) as seen:
            self.body(inputs)
        if self.reads is None:
            row = seen.row()
        else:
            found = seen.layers(self.network.num_units)
            row = torch.cat([found[unit] for unit in self.reads], 1)
        logits: Tensor = self.classifier(row.double())
        return logits


def packed(module: nn.Module) -> bytes:
    return save({name: tensor.detach().cpu().contiguous().clone() for name, tensor in module.state_dict().items()})


def from_packed(made: Described, tensors: bytes) -> nn.Module:
    """As `use_timm.py` or `load` makes it of the files."""
    if made.built_by == "timm":
        module: nn.Module = timm_network(asdict(made))
    else:
        module = build(made)
    module.load_state_dict(load_tensors(tensors))
    return module.eval().to(memory_format=torch.channels_last)


def load(folder: Path) -> nn.Module:
    """In evaluation, on the CPU."""
    made = Described(**json.loads((folder / DESCRIPTION).read_text(encoding="utf-8")))
    return from_packed(made, (folder / STATE).read_bytes())
