"""Where the gate keeps what it measures: a results folder of its own for each version of the code, its libraries and
the processor.

A record's key is what the suite asks for, not the code that answers. What another version left in the results, its
features and its drawn images, would be taken for tonight's, and the gate would see nothing. Code of other packages
(plug-ins) is not looked at; `--fresh` measures again whatever is there.
"""

import contextlib
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
    made_by = [provenance.get(name) for name in ("code", "python", "libraries", "processor", "on_gpu")]
    name = digest(made_by)[:16]
    place = results / FOLDER / name
    try:
        place.mkdir(parents=True, exist_ok=True)
        os.utime(place)
    except OSError as error:
        raise StoreError(f"cannot write to {place}: {explain(error)}") from None
    _clear(place.parent, place)
    return place


def _clear(folder: Path, current: Path) -> None:
    used = {}
    for path in folder.iterdir():
        with contextlib.suppress(OSError):  # another gate may be removing it
            used[path] = path.stat().st_mtime
    used.pop(current, None)
    for old in sorted(used, key=lambda path: used[path], reverse=True)[KEPT - 1 :]:
        if time.time() - used[old] > DAY:
            shutil.rmtree(old, ignore_errors=True)
