"""Folders of this machine: where a person keeps data and weights, and where this project keeps what it found out.

Nothing here is part of any key: what is found is named by its content.
"""

import os
from pathlib import Path

DATA = "BENCH_DATA"  # the environment variable: folders; --data puts one before them


def machine_cache() -> Path | None:
    """What was measured or found out on this machine, for every results folder on it."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transfer-bench"
    except RuntimeError:  # nobody's home
        return None


def data_folders() -> list[Path]:
    """Where data sets and weights may lie, the person's own folders before the one of downloads."""
    cache = machine_cache()
    return [*_own_folders(), *([cache / "data"] if cache is not None else [])]


def download_folder() -> Path | None:
    """Where `fetch` puts what it downloads: the person's first folder that can be written, else the cache's."""
    return next((folder for folder in data_folders() if os.access(folder if folder.exists() else folder.parent, os.W_OK)
                 or folder not in _own_folders()), None)


def _own_folders() -> list[Path]:
    return [Path(part).expanduser() for part in os.environ.get(DATA, "").split(os.pathsep) if part]


def find_file(name: str, beside: Path | None = None) -> Path | None:
    """By the path that a suite gives: beside the suite, where the command runs, or in a data folder."""
    try:
        given = Path(name).expanduser()
        tried = [*([beside / given] if beside else []), given, *(folder / given for folder in data_folders())]
        return next((path for path in tried if path.exists()), None)
    except (OSError, RuntimeError, ValueError):  # a name too long, a folder that is closed, nobody's home
        return None
