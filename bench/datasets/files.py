"""Files of a data set: which there are, and what they hold, by digests that are remembered until a file changes."""

import os
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bench.backbones.weights_file import file_sha256
from bench.errors import BenchError
from bench.keys import digest
from bench.places import machine_cache
from bench.store.remembered import recall, remember
from bench.text import printable

# By what a decoder is asked for; anything else in a folder is passed over, and counted.
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff", ".gif", ".ppm", ".pgm")
FORMAT = 2  # of the files that keep digests
THREADS = 8  # readers: digests and decoders let go of the interpreter


class DataError(BenchError):
    """Data of the person's that cannot be used as they are. One line, whatever their files and columns are called."""

    def __init__(self, text: str) -> None:
        super().__init__(printable(text))


def is_hidden(name: str) -> bool:
    """What systems leave behind: `.DS_Store`, `.ipynb_checkpoints`, `__MACOSX`, `Thumbs.db`."""
    return name.startswith((".", "__")) or name in ("Thumbs.db", "desktop.ini")


def visible(folder: Path) -> list[Path]:
    return sorted((path for path in folder.iterdir() if not is_hidden(path.name)), key=lambda path: path.name)


def walk(folder: Path) -> Iterator[Path]:
    """Every visible file below, in the order of the names."""
    for path in visible(folder):
        if path.is_dir():
            yield from walk(path)
        elif path.is_file():
            yield path


def is_suffix_of(name: str, suffixes: Sequence[str]) -> bool:
    return Path(name).suffix.lower() in suffixes


def shown(path: Path | str) -> str:
    """A name for a message: what is no text in this encoding is escaped."""
    return os.fsencode(str(path)).decode("utf-8", "backslashreplace")


def digests_of(paths: Sequence[Path]) -> list[str]:
    """sha256 of each file. A file of the same size and time as when it was last read is not read again."""
    memory = _Memory(paths)
    changed = [path for path in paths if memory.get(path) is None]
    with ThreadPoolExecutor(THREADS) as pool:
        for path, sha256 in zip(changed, pool.map(_sha256, changed), strict=True):
            memory.put(path, sha256)
    memory.keep()
    return [memory.get(path) or "" for path in paths]


def _sha256(path: Path) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror})") from error


class _Memory:
    """Digests of one set of files, in the machine's cache."""

    def __init__(self, paths: Sequence[Path]) -> None:
        cache = machine_cache()
        name = digest([FORMAT, *(shown(path.absolute()) for path in paths)])
        self._path = cache / "digests" / f"{name}.json" if cache is not None else None
        self._stat = {path: _stat(path) for path in paths}
        self._changed = False
        self._known: dict[str, list[object]] = (recall(self._path) if self._path else None) or {}

    def get(self, path: Path) -> str | None:
        found = self._known.get(shown(path.absolute()))
        return str(found[-1]) if found is not None and found[:-1] == self._stat[path] else None

    def put(self, path: Path, sha256: str) -> None:
        self._known[shown(path.absolute())] = [*self._stat[path], sha256]
        self._changed = True

    def keep(self) -> None:
        if self._path is not None and self._changed:
            remember(self._path, self._known)


def _stat(path: Path) -> list[object]:
    try:
        found = path.stat()
    except OSError as error:
        raise DataError(f"{shown(path)}: cannot be read ({error.strerror})") from error
    # Copies may keep sizes and times; the change of the file's own entry they cannot.
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def listed(names: Iterable[object], limit: int = 5) -> str:
    """`a, b, c and 4 more`"""
    every = [str(name) for name in names]
    rest = len(every) - limit
    return ", ".join(every[:limit]) + (f" and {rest} more" if rest > 0 else "")
