"""Where the gate keeps what it measures: a results folder of its own for each version of the code and its libraries.

A record's key is what the suite asks for, not the code that answers. What another version left in the results, its
features and its drawn images, would be taken for tonight's, and the gate would see nothing. Code of other packages
(plug-ins) is not looked at; `--fresh` measures again whatever is there.
"""

import os
import shutil
import time
from pathlib import Path
from typing import Any

from bench.errors import StoreError
from bench.keys import digest
from bench.store.atomic import explain

FOLDER = ".gate"
KEPT = 3  # of the latest versions
DAY = 86_400.0  # seconds; a folder used since then may belong to another gate at work


def workplace(results: Path, provenance: dict[str, Any]) -> Path:
    """Of the code that runs now. Folders of versions long gone are removed."""
    name = digest([provenance["code"], provenance["libraries"]])[:16]
    place = results / FOLDER / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)
    except OSError as error:
        raise StoreError(f"cannot write to {place}: {explain(error)}") from None
    _clear(place.parent, place)
    return place


def _clear(folder: Path, current: Path) -> None:
    others = sorted((p for p in folder.iterdir() if p != current), key=lambda p: p.stat().st_mtime, reverse=True)
    for old in others[KEPT - 1 :]:
        if time.time() - old.stat().st_mtime > DAY:
            shutil.rmtree(old, ignore_errors=True)
