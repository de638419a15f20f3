"""Folders of this machine: where a person keeps data and weights, and where this project keeps what it found out.

Nothing here is part of any key: what is found is named by its content.
"""

import hashlib
import os
from pathlib import Path

from bench.errors import nearest

CACHE = "BENCH_CACHE"  # the environment variable: a folder; --cache goes before it
DATA = "BENCH_DATA"  # the environment variable: folders; --data puts one before them

MOST = 10_000  # names of a folder that are compared with a misspelt one


def machine_cache() -> Path | None:
    """What was measured or found out on this machine, for every results folder on it."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "transfer-bench"
    except RuntimeError:  # nobody's home
        return None


def cache_of(results: Path) -> Path:
    """Decoded data, features and the like for the runs of a results folder: in it, or in a folder of its own where
    BENCH_CACHE says. Nothing there is needed once a record is written."""
    given = os.environ.get(CACHE)
    if not given:
        return results / ".cache"
    name = hashlib.sha256(str(results.absolute()).encode()).hexdigest()[:12]  # a gate empties the cache of its own
    return Path(given).expanduser() / f"transfer-bench-{name}"


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


def near_file(name: str, beside: Path | None = None) -> str:
    """`; did you mean 'photos'?`: the nearest name where this one was looked for, or in the `weights` of a data folder;
    "" where nothing is near."""
    try:
        given = Path(name).expanduser()
        bases = [*([beside] if beside else []), Path(), *data_folders()]
        found = {one: str(Path("weights", one)) for base in bases for one in _names_in(base / "weights")}
        found |= {one: str(given.parent / one) for base in bases for one in _names_in(base / given.parent)}
    except (OSError, RuntimeError, ValueError):
        return ""
    close = nearest(given.name, found, limit=1)
    return f"; did you mean {found[close[0]]!r}?" if close else ""


def _names_in(folder: Path) -> list[str]:
    """Suites aside: they name data and are none."""
    found = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return [name for name in found if not name.endswith((".yaml", ".yml"))][:MOST]
