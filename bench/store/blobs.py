"""Weights on disk, named by their sha256: <root>/weights/<ab>/<sha256>.safetensors. Used by engine/ and execute/.

Equal content is one file, so any number of processes may put the same weights.
"""

import hashlib
import re
from pathlib import Path

from bench.errors import StoreError
from bench.store import atomic

_SHA256 = re.compile(r"[0-9a-f]{64}")


def path_of(root: Path, sha256: str) -> Path:
    if not _SHA256.fullmatch(sha256):  # a digest becomes a path
        raise ValueError(f"a sha256 is 64 lower-case hex digits, got {sha256!r}")
    return root / "weights" / sha256[:2] / f"{sha256}.safetensors"


def put(root: Path, data: bytes) -> str:
    """Store the content and return its sha256. A damaged file of that name is replaced."""
    sha256 = hashlib.sha256(data).hexdigest()
    path = path_of(root, sha256)
    try:
        if path.read_bytes() == data:
            atomic.sync_folder(path.parent)  # whoever put it may not have come so far
            return sha256
    except OSError:
        pass  # absent or unreadable: writing tells which, with the better message
    atomic.write_bytes(path, data)
    return sha256


def has(root: Path, sha256: str) -> bool:
    """Whether there is a file; only `get` knows whether it is whole."""
    return path_of(root, sha256).is_file()


def get(root: Path, sha256: str) -> bytes:
    path = path_of(root, sha256)
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise StoreError(f"weights missing: {path}") from error
    except OSError as error:
        raise StoreError(f"cannot read weights {path}: {atomic.explain(error)}") from error
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise StoreError(f"weights damaged: {path} holds {len(data)} bytes with sha256 {found}")
    return data
