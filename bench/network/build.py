"""Making a network: architecture, units, a seeded start, and the pretrained part on top."""

import dataclasses
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from bench import backbones
from bench.backbones import torchvision_models, torchvision_names
from bench.errors import BenchError
from bench.network import weights as weights_io
from bench.network.new_head import give_head, names_of_classifiers
from bench.network.units import Network, cut_into_units
from bench.network.weights import Loaded, State, WeightsError
from bench.spec.parts import Adaptation
from bench.spec.refs import BackboneRef, NewHead


def build_network(ref: BackboneRef, num_classes: int, init_seed: int, head: NewHead | None = None) -> Network:
    """Every weight drawn from `init_seed` alone. The global generator is put back as it was. `head`: what the network
    gets in the place of the architecture's own classifier; None keeps that."""
    entry = backbones.find(ref.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init_seed)
        module = build_named(ref.name, num_classes, ref.options)
        if head is not None:
            give_head(module, head)
    network = cut_into_units(module, coarse=ref.units == "coarse")
    declared = entry.facts_of(ref.options).unit_names if entry is not None and entry.found is None else None
    if declared is not None and network.num_units != len(declared):
        raise ValueError(f"backbone {ref.name!r} declares {len(declared)} units, "
                         f"its group_matcher makes {network.num_units}")
    return network


def build_named(name: str, num_classes: int, options: dict[str, Any]) -> nn.Module:
    """Of the catalogue, of torchvision or of timm."""
    entry = backbones.find(name)
    if entry is not None:
        built = entry.build(num_classes, entry.options.model_validate(options))
        assert isinstance(built, nn.Module), f"backbone {name!r} built a {type(built).__name__}"
        return built
    if name.startswith(torchvision_names.PREFIX):
        return torchvision_models.build(name, num_classes, options)
    created: nn.Module = timm.create_model(name, pretrained=False, num_classes=num_classes, **options)
    return created


def read_state(ref: BackboneRef, path: Path | None) -> State | None:
    """The pretrained tensors, or None for random weights. `path`: the local file or the pretraining's blob."""
    match ref.weights.origin:
        case "random":
            return None
        case "hub":
            assert path is not None, "planning finds the file"
            return _from_hub(ref, path)
        case "file":
            assert path is not None, "planning resolves the path"
            return _translated(ref, path)
        case "pretrain":
            assert path is not None, "a pretraining leaves a file"
            return weights_io.read_file(path)


def _translated(ref: BackboneRef, path: Path) -> State:
    """A checkpoint's tensors under the names that the network has for them."""
    state, entry = weights_io.read_file(path), backbones.find(ref.name)
    if entry is None or entry.translate is None:
        return state
    try:
        names = entry.translate(state, entry.options.model_validate(ref.options))
    except BenchError as error:
        raise WeightsError(f"{path.name}: {error}") from error
    return {names[name]: tensor for name, tensor in state.items() if name in names}


def _from_hub(ref: BackboneRef, path: Path) -> State:
    """A hub's file is in the hub's own form: its library knows how to read it (position tables of another size, say).
    Read by us first, which refuses code and names damage."""
    state = weights_io.read_file(path)
    name, _, _ = ref.weights.identity.partition("@")
    if ref.name.startswith(torchvision_names.PREFIX):
        return state
    try:
        overlay = {"state_dict": state}
        model: Any = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **ref.options)
    except Exception as error:
        raise WeightsError(f"{path.name}: not the weights of {name} ({type(error).__name__}: {error})") from error
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def redraw(network: Network, draw: torch.Generator) -> None:
    """Every parameter of the body becomes noise with its own mean and spread; statistics start anew."""
    with torch.no_grad():
        for parameters in network.parameters[:-1]:
            for tensor in parameters.values():
                mean, spread = tensor.double().mean(), tensor.double().std(correction=0)
                noise = torch.randn(tensor.shape, generator=draw, dtype=torch.float64)
                tensor.copy_(mean + spread * noise)
    for module in network.module.modules():
        if isinstance(module, nn.modules.batchnorm._NormBase):
            module.reset_running_stats()


def adapted(network: Network, how: Adaptation, cut: tuple[str, int]) -> Network:
    """The network with what an adaptation adds to it. `cut`: how finely it is cut into units, and the seed of what is
    drawn."""
    units, seed = cut
    before = {id(p) for p in network.module.parameters()}
    head = set(map(id, network.modules[-1]))
    body = [name for name, module in network.module.named_modules() if name and id(module) not in head]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        how.apply(network.module, body)
    made = cut_into_units(network.module, coarse=units == "coarse")
    if made.num_units != network.num_units:
        raise ValueError(f"{how.name} changes the units of {type(network.module).__name__}")
    added = {name for name, p in network.module.named_parameters() if id(p) not in before}
    return dataclasses.replace(made, unit_names=network.unit_names, added=frozenset(added))


def load_pretrained(network: Network, state: State, upto: int) -> Loaded:
    """Put `state` into the units below `upto`; the head is never loaded, whatever layers the new one has."""
    upto = min(upto, network.num_units - 1)
    current = network.module.state_dict()
    names = network.names_below(upto)
    places = tuple(f"{name}." for name in names_of_classifiers(network.module))
    old_head = {name for name in state if name.startswith(places)}
    head = old_head | set(current) - network.names_below(network.num_units - 1)
    wanted = {name: tensor for name, tensor in current.items() if name in names}
    taken, loaded = weights_io.fit(state, wanted, head, known=old_head | set(current))
    network.module.load_state_dict(taken, strict=False)
    return loaded
