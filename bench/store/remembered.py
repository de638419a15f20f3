"""Small things that were found out about this machine, its data and its libraries, kept so that nobody asks again.

Each is a JSON file with a checksum over its name and its value. A file that is damaged, edited or another's is told of
and counts as absent; where nothing can be written, nothing is kept.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.keys import digest
from bench.store import atomic, locks

log = logging.getLogger(__name__)

Tell = Callable[[str], None]


def recall(path: Path, tell: Tell = log.warning) -> Any:
    """None where nothing is kept, or something damaged: then `tell` says so."""
    try:
        text = path.read_bytes()
    except OSError:
        return None
    try:
        kept = json.loads(text)
        value = kept["value"]
        if kept["checksum"] != _checksum(path, value):
            raise ValueError("other content than was written")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        tell(f"{path}: damaged ({type(error).__name__}: {error}); it is found out anew")
        return None
    return value


def remember(path: Path, value: Any) -> None:
    """`value`: plain JSON, its mappings named by text."""
    kept = {"value": value, "checksum": _checksum(path, value)}
    with suppress(StoreError):
        atomic.write_bytes(path, json.dumps(kept).encode())


def find_out_once(path: Path, find_out: Callable[[], Any], tell: Tell) -> Any:
    """What is kept, else what `find_out` gives. Of several processes the first to write decides for all."""
    kept = recall(path, tell)
    if kept is not None:
        return kept
    value = find_out()
    with locks.taking_turns(path.with_name(f".{path.name}.lock"), tell):
        kept = recall(path, lambda damage: None)
        if kept is None:
            remember(path, value)
    return value if kept is None else kept


def _checksum(path: Path, value: Any) -> str:
    return digest([path.name, json.dumps(value)])
