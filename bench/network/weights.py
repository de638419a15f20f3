"""Reading pretrained weights: from a hub, a local file or a pretraining of ours. Never code, never in silence.

What is read is a plain mapping of tensors; what matched and what did not is counted and returned.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from bench.errors import BenchError
from bench.text import printable

State = dict[str, Tensor]

# Names under which training scripts bury the weights, the averaged ones first.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


class WeightsError(BenchError):
    """The weights cannot be used. Says what came and what was expected, on one line, whatever tensors are called."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


@dataclass(frozen=True)
class Loaded:
    """What happened when weights met a network."""

    matched: int  # tensors
    expected: int  # tensors of the units that should be pretrained; only BatchNorm's step counters may be missing
    dropped: tuple[str, ...]  # of the file: the old head
    sha256: str  # of the tensors' names and contents


def read_file(path: Path) -> State:
    """A safetensors file or a plain state dict. Code in a pickle is refused, damage is named."""
    if not path.is_file():
        raise WeightsError(f"{path.name}: no such weights file")
    with path.open("rb") as file:
        head = file.read(64).removeprefix(b"\xef\xbb\xbf")
    if not head:
        raise WeightsError(f"{path.name}: empty file")
    if head.startswith(b"version https://git-lfs"):
        raise WeightsError(f"{path.name}: a git-LFS pointer, not the weights; run `git lfs pull` where it came from")
    if head.lstrip()[:1] == b"<":
        raise WeightsError(f"{path.name}: looks like an HTML page saved under this name, not weights")
    try:
        if path.suffix == ".safetensors":
            return _unwrap(load_file(path), path)
        raw = torch.load(path, map_location="cpu", weights_only=True)
    except WeightsError:
        raise
    except Exception as error:
        size, kind = path.stat().st_size, type(error).__name__
        # Whatever torch cannot read, it blames on `weights_only`; only a pickle can hold code.
        if "weights_only" in str(error) and head.startswith((b"\x80", b"PK")):
            raise WeightsError(f"{path.name}: holds more than plain weights (pickled code), refused") from error
        raise WeightsError(f"{path.name}: damaged or not a checkpoint ({size} bytes): {kind}") from error
    return _unwrap(raw, path)


def _unwrap(raw: object, path: Path) -> State:
    for name in WRAPPERS:
        if isinstance(raw, Mapping) and isinstance(raw.get(name), Mapping):
            raw = raw[name]
            break
    if not isinstance(raw, Mapping):
        raise WeightsError(f"{path.name}: expected a mapping of tensors, got {type(raw).__name__}")
    state = {str(k).removeprefix("module."): v for k, v in raw.items() if isinstance(v, Tensor)}
    if not state:
        raise WeightsError(f"{path.name}: no tensors inside; found {', '.join(map(str, list(raw)[:5])) or 'nothing'}")
    return state


def sha256_of(state: Mapping[str, Tensor]) -> str:
    """Digest of names, types, shapes and contents, in the order of the names."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu().contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def fit(state: State, wanted: Mapping[str, Tensor], head: set[str], known: set[str]) -> tuple[State, Loaded]:
    """The part of `state` that belongs into `wanted` (the units to be pretrained). The old head is dropped by name;
    anything else that is missing, of another shape, or not `known` to the network at all is an error with counts."""
    taken = {name: state[name] for name in wanted if name in state and state[name].shape == wanted[name].shape}
    # Old checkpoints lack BatchNorm's step counter; it is not a weight.
    needed = [name for name in wanted if not name.endswith("num_batches_tracked")]
    missing = [name for name in needed if name not in taken]
    if missing:
        shapes = [f"{n} is {tuple(state[n].shape)}, expected {tuple(wanted[n].shape)}" for n in missing if n in state]
        detail = "; ".join(shapes[:3]) or f"missing {', '.join(missing[:3])}"
        raise WeightsError(
            f"{len(needed) - len(missing)} of {len(needed)} tensors matched: {detail}"
            + (f"; the file's names begin {', '.join(list(state)[:3])}" if len(missing) == len(needed) else "")
        )
    if bad := [name for name in taken if taken[name].is_floating_point() and not taken[name].isfinite().all()]:
        raise WeightsError(f"not finite: {len(bad)} tensors hold NaN or infinity, first {bad[0]}")
    dropped = tuple(name for name in state if name not in taken and name in head)
    if strange := [name for name in state if name not in known]:
        raise WeightsError(
            f"{len(strange)} tensors of the file fit nowhere in this network, first {', '.join(strange[:3])}; "
            "is it the right architecture?"
        )
    return taken, Loaded(len(taken), len(wanted), dropped, sha256_of(state))
