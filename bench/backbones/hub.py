"""Where a hub's pretrained weights lie on this machine, without asking any hub and without torch."""

import os
from pathlib import Path

from bench.places import data_folders, download_folder

SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
IN_HUB = ("model.safetensors", "pytorch_model.bin")
FOLDER = "weights"


def find(name: str) -> Path | None:
    """`name`: with its tag. Files of the person's own come first, then the hub client's cache."""
    own = (folder / FOLDER / file_name(name, suffix) for folder in data_folders() for suffix in SUFFIXES)
    return next((path for path in (*own, *_in_hub_cache(name)) if path.is_file()), None)


def place_for(name: str) -> Path | None:
    """Where `fetch` puts it."""
    folder = download_folder()
    return folder / FOLDER / file_name(name) if folder is not None else None


def file_name(name: str, suffix: str = SUFFIXES[0]) -> str:
    return name.replace(":", "_") + suffix


def _in_hub_cache(name: str) -> list[Path]:
    snapshot = snapshot_of(f"timm/{name}")
    return [snapshot / file for file in IN_HUB] if snapshot is not None else []


def snapshot_of(repository: str) -> Path | None:
    """Its newest files in the hub client's cache."""
    home = Path(os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME", "~/.cache")) / "huggingface")
    cache = Path(os.environ.get("HF_HUB_CACHE") or home / "hub").expanduser()
    model = cache / f"models--{repository.replace('/', '--')}"
    try:
        return model / "snapshots" / (model / "refs" / "main").read_text().strip()
    except OSError:
        return None
