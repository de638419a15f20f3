"""What can move a number although nobody changed the code or the suite: the environment class of a record. `tonight.py`
reads it out of records; `compare.py` refuses to compare across two of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LIBRARIES = ("torch", "torchvision", "timm", "optuna", "numpy", "scikit-learn")
UNKNOWN = "unknown"


@dataclass(frozen=True)
class Environment:
    device: str  # the GPU's name, or "cpu"
    machine: str  # "x86_64"
    versions: tuple[str, ...]  # of LIBRARIES, in that order

    @staticmethod
    def of(provenance: Mapping[str, Any]) -> "Environment":
        found = provenance.get("libraries") or {}
        return Environment(
            device=str(provenance.get("device") or UNKNOWN),
            machine=str(provenance.get("platform") or UNKNOWN).rpartition(" ")[2] or UNKNOWN,
            versions=tuple(str(found.get(name) or UNKNOWN) for name in LIBRARIES),
        )

    @staticmethod
    def from_dict(raw: Mapping[str, str]) -> "Environment":
        """Of a baseline file; its reader has seen to it that the fields are there."""
        return Environment(raw["device"], raw["machine"], tuple(raw[name] for name in LIBRARIES))

    def as_dict(self) -> dict[str, str]:
        return {"device": self.device, "machine": self.machine, **dict(zip(LIBRARIES, self.versions, strict=True))}

    def __str__(self) -> str:
        named = (f"{name} {one}" for name, one in zip(LIBRARIES, self.versions, strict=True))
        return ", ".join([self.device, self.machine, *named])


FIELDS = ("device", "machine", *LIBRARIES)


def differences(before: Environment, after: Environment) -> list[str]:
    """`torch 2.14 -> 2.15`; empty where both are the same."""
    old, new = before.as_dict(), after.as_dict()
    return [f"{name} {old[name]} -> {new[name]}" for name in FIELDS if old[name] != new[name]]


def device_model(provenance: Mapping[str, Any]) -> str:
    """What seconds and memory depend on: the GPU's name, or the processor's where there is none."""
    device = str(provenance.get("device") or UNKNOWN)
    return device if device not in ("cpu", UNKNOWN) else str(provenance.get("processor") or UNKNOWN)
