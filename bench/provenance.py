"""Where a number came from: code, libraries, machine. It goes into every record and into no key."""

import hashlib
import os
import platform
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

WITHOUT = "report"  # pages move no number
LIBRARIES = ("torch", "torchvision", "timm", "optuna", "numpy", "scipy", "scikit-learn")
EXTRAS = ("transformers", "tokenizers", "peft", "soundfile", "soxr")  # told where they are installed


def describe() -> dict[str, Any]:
    """Without torch; a worker adds its device."""
    return {
        **_commit(),
        "code": code_digest(),
        "python": platform.python_version(),
        "libraries": {name: found for name in (*LIBRARIES, *EXTRAS)
                      if (found := version_of(name)) is not None or name in LIBRARIES},
        "platform": f"{platform.system()} {platform.machine()}",
        "processor": _processor(),
        "cores": num_cores(),
    }


def code_digest(folder: Path | None = None) -> str:
    """Of the source that runs here and can move a number. A commit does not name it in a dirty tree, and an installed
    copy has none."""
    folder = folder or Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for name, path in sorted((path.relative_to(folder).as_posix(), path) for path in folder.rglob("*.py")):
        if name.startswith(f"{WITHOUT}/"):
            continue
        content = path.read_bytes()
        digest.update(f"{name}\0{len(content)}\0".encode() + content)
    return digest.hexdigest()[:16]


def num_cores() -> int:
    """Cores this process may use, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _commit() -> dict[str, Any]:
    """Of this code. An installed copy has none, and says so."""
    folder = Path(__file__).resolve().parent
    try:
        _git(folder, "ls-files", "--error-unmatch", __file__)  # else the repository around us is somebody else's
        commit = _git(folder, "rev-parse", "HEAD")
        return {"commit": commit, "dirty": bool(_git(folder, "status", "--porcelain", "--", str(folder)))}
    except (OSError, subprocess.SubprocessError):
        return {"commit": None, "dirty": None}


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


@cache
def version_of(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"
