"""Small things that were found out about this machine, its data and its libraries, kept so that nobody asks again.

Each is sealed, with its own name inside. A file that is damaged, edited or another's is told of and counts as absent;
where nothing can be written, nothing is remembered.
"""

import json
import logging
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.store import atomic, locks, sealed

log = logging.getLogger(__name__)

Tell = Callable[[str], None]


def recall(path: Path, tell: Tell = log.warning) -> Any:
    """None where nothing is remembered, or something damaged: then `tell` says so."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    try:
        content = sealed.unseal(data)
        if content["name"] != path.name:
            raise ValueError(f"it belongs to {content['name']}")
        return content["value"]
    except (ValueError, KeyError) as error:
        tell(f"{path}: damaged ({error}); it is found out anew")
        return None


def remember(path: Path, value: Any) -> None:
    """`value`: plain JSON, its mappings named by text."""
    text = json.dumps({"name": path.name, "value": value}, indent=1) + "\n"
    with suppress(StoreError):
        atomic.write_bytes(path, sealed.seal(text.encode()))


def find_out_once(path: Path, find_out: Callable[[], Any], tell: Tell) -> Any:
    """What is remembered, else what `find_out` gives. Of several processes the first to write decides for all."""
    value = recall(path, tell)
    if value is not None:
        return value
    mine = find_out()
    with locks.taking_turns(path.with_name(f".{path.name}.lock"), tell):
        theirs = recall(path, lambda damage: None)
        if theirs is None:
            remember(path, mine)
    return mine if theirs is None else theirs
