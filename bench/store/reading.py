"""Files under runs/ -> records: one, whole, or very many, folded."""

import json
import math
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from bench.provenance import num_cores
from bench.store import atomic, coherence, encoding, sealed
from bench.store.folded import Row, fold
from bench.store.record import Record

KEY = re.compile(r"[0-9a-f]{32}")  # what keys.digest gives
NAME = re.compile(r"[0-9a-f]{32}\.json")
MANY = 4000  # files that are worth a second process, which takes half a second to start

Known = tuple[Row, bytes]  # a record that was checked, and the checksum of its file


@dataclass(frozen=True)
class Damaged:
    """Something under runs/ that is no readable record; it counts as absent."""

    path: Path
    reason: str

    def __str__(self) -> str:
        return f"{self.path}: {self.reason}"


def misnamed(folder: str, name: str) -> str:
    """Why what is called so is no record, wherever it lies; "" where it may be one."""
    if not NAME.fullmatch(name):
        return "not the name of a record"
    return "" if folder == name[:2] else f"in the wrong folder: belongs in {name[:2]}/"


def load(path: Path) -> Record | Damaged | None:
    """None where there is nothing."""
    why = misnamed(path.parent.name, path.name)
    return Damaged(path, why) if why else load_as(path, path.stem)


def load_as(path: Path, key: str) -> Record | Damaged | None:
    """Whatever its name is."""
    found = _checked(path, key)
    return Damaged(path, found) if isinstance(found, str) else found[0] if found is not None else None


def _checked(path: Path, key: str) -> tuple[Record, bytes] | str | None:
    """With the checksum of its file; or why it is none."""
    try:
        data = read_regular(path)
        record = encoding.decode(data, key)
        coherence.check(record)
    except FileNotFoundError:  # vanished since it was listed, or never there
        return "a link to nothing" if path.is_symlink() else None
    except OSError as error:
        return f"cannot be read: {atomic.explain(error)}"
    except ValueError as error:
        return str(error)
    checksum = sealed.checksum_of(data)
    assert checksum is not None, "else it would not have been read"
    return record, checksum


def load_all(paths: Sequence[str]) -> Iterator[Known | str | None]:
    """As `load`, folded; of the damaged ones the reasons, in their order: by all cores where there are very many."""
    num = max(1, min(num_cores(), 2 * len(paths) // MANY))
    each = math.ceil(len(paths) / num) or 1
    parts = [paths[first : first + each] for first in range(0, len(paths), each)]
    with ExitStack() as stack:
        others = [stack.enter_context(_elsewhere(part)) for part in parts[1:]]
        for part, answer in zip(parts, [list, *others], strict=False):
            yield from answer() or map(load_folded, part)


@contextmanager
def _elsewhere(paths: Sequence[str]) -> Iterator[Callable[[], list[Known | str | None]]]:
    """Begins in a process of its own; what is given waits for it, and has nothing where it came to no end. Not by
    `multiprocessing`, which runs the script again of somebody who reads results in one; and through files, as a thread
    that fills a pipe would wait for this one's work at each few kilobytes."""
    with ExitStack() as stack:
        try:
            asked, told = (stack.enter_context(TemporaryFile()) for _ in range(2))
            asked.write(json.dumps(paths).encode())
            asked.seek(0)
            found = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
            process = subprocess.Popen([sys.executable, "-P", "-m", "bench.store.load_files"], env=found,
                                       stdin=asked, stdout=told, stderr=subprocess.DEVNULL)  # fmt: skip
        except OSError:  # no room for files, or for a process
            yield list
            return
        try:
            yield lambda: _told(process, told)
        finally:
            process.kill()
            process.wait()


def _told(process: "subprocess.Popen[bytes]", file: IO[bytes]) -> list[Known | str | None]:
    if process.wait() != 0:
        return []
    file.seek(0)
    found = json.load(file)
    return [(Row(*one[0]), bytes.fromhex(one[1])) if isinstance(one, list) else one for one in found]


def load_folded(path: str) -> Known | str | None:
    found = _checked(Path(path), Path(path).stem)
    return (fold(found[0]).row, found[1]) if isinstance(found, tuple) else found


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """`most`: bytes that such a file can have. Straight from the system: a third of the time that `Path` takes, of a
    million files."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening a pipe would wait for its other end
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("not a file")
        if most is not None and about.st_size > most:
            raise ValueError(f"{about.st_size} bytes, more than the {most} that it can have")
        return os.read(file, about.st_size + 1)
    finally:
        os.close(file)
