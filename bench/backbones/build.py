"""Making a network: architecture, units, a seeded start, and the pretrained part on top."""

from pathlib import Path
from typing import Any

import torch
from torch import nn

from bench import backbones
from bench.backbones import weights as weights_io
from bench.backbones.base import BackboneEntry
from bench.backbones.units import Network, cut_into_units
from bench.backbones.weights import Loaded, State, WeightsError
from bench.plan.spec import BackboneRef


def build_network(ref: BackboneRef, num_classes: int, init_seed: int) -> Network:
    """Every weight drawn from `init_seed` alone. The global generator is put back as it was."""
    entry = backbones.find(ref.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(init_seed)
        module = _construct(entry, ref, num_classes)
    network = cut_into_units(module, coarse=ref.units == "coarse")
    if entry is not None and network.num_units != len(entry.facts.unit_names):
        raise ValueError(f"backbone {ref.name!r} declares {len(entry.facts.unit_names)} units, "
                         f"its group_matcher makes {network.num_units}")
    return network


def _construct(entry: BackboneEntry | None, ref: BackboneRef, num_classes: int) -> nn.Module:
    if entry is not None:
        built = entry.build(num_classes, entry.options.model_validate(ref.options))
        assert isinstance(built, nn.Module), f"backbone {ref.name!r} built a {type(built).__name__}"
        return built
    import timm

    created: nn.Module = timm.create_model(ref.name, pretrained=False, num_classes=num_classes, **ref.options)
    return created


def read_state(ref: BackboneRef, path: Path | None) -> State | None:
    """The pretrained tensors, or None for random weights. `path`: the local file or the pretraining's blob."""
    match ref.weights.origin:
        case "random":
            return None
        case "hub":
            return _from_hub(ref)
        case "file" | "pretrain":
            assert path is not None, "planning resolves the path"
            return weights_io.read_file(path)


def _from_hub(ref: BackboneRef) -> State:
    import timm

    try:
        model: Any = timm.create_model(ref.weights.identity, pretrained=True, **ref.options)
    except Exception as error:
        raise WeightsError(
            f"{ref.weights.identity}: the pretrained weights could not be had ({type(error).__name__}: {error}). "
            "With a network, `run --rerun failed`; without one, `weights: path` to a local checkpoint, or `pretrain:`."
        ) from error
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def load_pretrained(network: Network, state: State, upto: int) -> Loaded:
    """Put `state` into the units below `upto`; the head is never loaded."""
    upto = min(upto, network.num_units - 1)
    current = network.module.state_dict()
    names = network.names_below(upto)
    head = set(current) - network.names_below(network.num_units - 1)
    wanted = {name: tensor for name, tensor in current.items() if name in names}
    taken, loaded = weights_io.fit(state, wanted, head, known=set(current))
    network.module.load_state_dict(taken, strict=False)
    return loaded
