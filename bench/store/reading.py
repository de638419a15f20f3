"""Files under runs/ -> records: one, whole, or very many, folded."""

import json
import math
import os
import re
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO

from bench.provenance import num_cores
from bench.store import atomic, coherence, encoding, sealed
from bench.store.folded import Row, fold
from bench.store.record import Record

KEY = re.compile(r"[0-9a-f]{32}")  # what keys.digest gives
NAME = re.compile(r"[0-9a-f]{32}\.json")
MANY = 4000  # files that are worth a second process, which takes half a second to start
MOST = 8  # processes, whatever the machine has: a container may have less of it

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
    """As `load`, folded, in their order, and of the damaged ones the reasons: by several cores where they are many."""
    num = max(1, min(num_cores(), MOST, 2 * len(paths) // MANY))
    each = max(1, math.ceil(len(paths) / num))
    first, *others = [paths[start : start + each] for start in range(0, len(paths), each)] or [paths]
    with ExitStack() as stack:
        answers = [_begin(part, stack) for part in others]
        yield from map(load_folded, first)
        for answer in answers:
            yield from answer()


def _begin(paths: Sequence[str], stack: ExitStack) -> Callable[[], Iterator[Known | str | None]]:
    """In a process of its own. Not by `multiprocessing`, which runs the script again of somebody who reads results in
    one; and through files, as a thread at a pipe would wait for this one's work at each few kilobytes. Whatever of it
    does not come back as it should is read here."""
    try:
        folder = Path(stack.enter_context(TemporaryDirectory(ignore_cleanup_errors=True)))
        (folder / "paths").write_text(json.dumps(paths))
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if isinstance(one, str))}
        words = [sys.executable or "python", "-P", "-m", "bench.store.load_files", str(folder)]
        process = subprocess.Popen(words, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL)  # fmt: skip
    except OSError:  # no room for files, or for a process
        return lambda: map(load_folded, paths)
    stack.callback(process.wait)
    stack.callback(process.kill)

    def answer() -> Iterator[Known | str | None]:
        process.wait()
        try:
            lines: IO[bytes] = (folder / "rows").open("rb")
        except OSError:  # it did not come so far
            lines = BytesIO()
        with lines:
            yield from (_known(lines.readline(), Path(path).stem) or load_folded(path) for path in paths)

    return answer


def _known(line: bytes, key: str) -> Known | None:
    try:
        *row, checksum = json.loads(line)
        found = Row._make(row)
        return (found, bytes.fromhex(checksum)) if found.key == key else None
    except (ValueError, TypeError):
        return None


def load_folded(path: str) -> Known | str | None:
    found = _checked(Path(path), Path(path).stem)
    return (fold(found[0]).row, found[1]) if isinstance(found, tuple) else found


def read_regular(path: str | Path, most: int | None = None) -> bytes:
    """`most`: bytes that such a file can have. Straight from the system: a third of the time that `Path` takes, of a
    million files."""
    file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)  # else opening a pipe would wait for its other end
    data = b""
    try:
        about = os.fstat(file)
        if not stat.S_ISREG(about.st_mode):
            raise ValueError("not a file")
        if most is not None and about.st_size > most:
            raise ValueError(f"{about.st_size} bytes, more than the {most} that it can have")
        while more := os.read(file, about.st_size - len(data)):  # one call, but on some file systems
            data += more
        return data
    finally:
        os.close(file)
