"""The GPUs that this process may use, found out without torch, which takes seconds to import.

CUDA's driver is asked (`ask_cuda.py`), so it counts as CUDA will: CUDA_VISIBLE_DEVICES by its own rules, with numbers,
UUIDs or their beginnings, and slices of a card (MIG), of which a process sees one.
"""

import importlib.util
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ASKING = Path(__file__).with_name("ask_cuda.py")
PATIENCE = 60.0  # seconds; a driver that nobody uses wakes its cards first


@dataclass(frozen=True)
class Gpus:
    names: tuple[str, ...] = ()
    capability: float | None = None  # compute capability of the oldest one
    trouble: str = ""  # why there is none, although there is a driver


def count_gpus() -> int:
    """Those that a training here can use."""
    return len(usable_gpus().names)


def usable_gpus() -> Gpus:
    """None where this torch cannot use them."""
    found = driver_gpus()
    if not found.names or not torch_is_for_cpus():
        return found
    why = "but torch is built for CPUs only: install a build for CUDA to use them"
    return Gpus(trouble=f"{in_words(found.names)}; {why}")


def driver_gpus() -> Gpus:
    """As the driver has them, whatever torch is built for."""
    return _asked(os.environ.get("CUDA_VISIBLE_DEVICES"))


def compute_capability() -> float | None:
    """Of the oldest card in the machine, hidden ones too: where Ray asks, it hides them all. None: nobody knows."""
    return _asked(None).capability


def torch_is_for_cpus() -> bool:
    """Read from torch's own note of how it was built; where nothing is known, it is not."""
    torch = importlib.util.find_spec("torch")
    if torch is None or torch.origin is None:
        return False
    try:
        return runpy.run_path(str(Path(torch.origin).with_name("version.py"))).get("cuda", "") is None
    except (OSError, SyntaxError, NameError):
        return False


def in_words(names: Sequence[str]) -> str:
    """`2 GPUs: H100, H100`"""
    return f"{len(names)} GPU{'s' * (len(names) != 1)}: {', '.join(names)}"


@lru_cache
def _asked(visible: str | None) -> Gpus:
    """Once in a command: the answer may take the driver a second."""
    environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"}
    if visible is not None:
        environment["CUDA_VISIBLE_DEVICES"] = visible
    try:
        # Without site-packages: nothing of theirs is needed.
        done = subprocess.run([sys.executable, "-I", "-S", str(ASKING)], env=environment, capture_output=True,
                              text=True, timeout=PATIENCE, check=True)  # fmt: skip
        answer = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return Gpus(trouble=f"asking the CUDA driver for GPUs failed: {error}")
    if "error" in answer:
        return Gpus(trouble=f"a CUDA driver is here, but no GPU works: {answer['error']}")
    if not answer["gpus"]:
        is_misnamed = answer["has_driver"] and visible is not None and visible.strip() not in ("", "-1")
        return Gpus(trouble=f"CUDA_VISIBLE_DEVICES={visible} names no GPU of this machine" if is_misnamed else "")
    capabilities = [major + minor / 10 for major, minor in (one["capability"] for one in answer["gpus"])]
    return Gpus(tuple(one["name"] for one in answer["gpus"]), min(capabilities))
