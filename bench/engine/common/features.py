"""Values at the edge between what is frozen and what trains, computed once for each image and kept.

A table is named by all that determines it: the weights and the structure of the frozen part, the image pipeline, the
arithmetic, the images. It lies in a safetensors file that every worker maps into memory, so workers share it and later
runs find it; a file that is damaged, half written, or another's, is told of and computed anew. Where it cannot be
written it stays in memory.
"""

import contextlib
import logging
import os
import time
import zlib
from collections import OrderedDict
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from bench.store import atomic, locks

log = logging.getLogger(__name__)

DISK_BYTES = 8 << 30  # of all suites together; the files that were not used for longest go first
OPEN_BYTES = 8 << 30  # of tables that one worker has open; on a CPU they are only mapped
DEVICE_SHARE = 0.25  # of a device's memory that open tables may take
VALUES = "values"  # the name of the one tensor in a file


@dataclass
class Features:
    folder: Path
    device: torch.device
    tell: Callable[[str], None] = log.warning  # how a person learns of a file that cannot be trusted, or written
    pause: Callable[[], AbstractContextManager[None]] = nullcontext  # around what is part of no training's time
    fetch: Callable[[list[str]], None] | None = None  # asks another machine for tables; they lie in the folder then
    sharing: int = 1  # workers of the device
    seconds: float = 0.0  # spent on getting tables so far
    computed: int = 0  # times that tables had to be computed
    _open: OrderedDict[str, Tensor] = field(default_factory=OrderedDict)

    def get(self, keys: list[str], group: str, compute: Callable[[], dict[str, Tensor]]) -> list[Tensor]:
        """One table for each key, from memory or disk. Else `compute` makes these and any others of the group that
        will be wanted; only one worker does that at a time."""
        started = time.perf_counter()
        if not all(key in self._open for key in keys):
            with self.pause(), locks.taking_turns(self.folder / f".{group}.lock", self.tell):
                started = time.perf_counter()  # waiting for another worker is not work
                if self.fetch is not None and (absent := [key for key in keys if not self._open_file(key)]):
                    self.fetch(absent)
                for key in keys:
                    self._open_file(key)
                if not all(key in self._open for key in keys):
                    self.computed += 1
                    for key, table in compute().items():
                        self._put(key, table, is_asked_for=key in keys)
        found = [self._open[key] for key in keys]
        for key in keys:
            self._open.move_to_end(key)
        self._forget_oldest(spared=set(keys))
        self.seconds += time.perf_counter() - started
        return found

    def _put(self, key: str, table: Tensor, is_asked_for: bool) -> None:
        try:
            _write(self.folder / key, table)
        except OSError as error:
            self.tell(f"features are kept in memory only: {error}")
        self._make_room(spared=key)
        if is_asked_for and not self._open_file(key):
            self._open[key] = table.to(self.device)

    def _open_file(self, key: str) -> bool:
        path = self.folder / key
        if key in self._open:
            return True
        if not path.exists():
            return False
        try:
            table = _read(path)
        except (OSError, ValueError, KeyError, SafetensorError) as error:
            self.tell(f"features {path}: damaged ({type(error).__name__}: {error}); they are computed anew")
            return False
        with contextlib.suppress(OSError):
            os.utime(path)  # used now
        self._open[key] = table.to(self.device)
        return True

    def _forget_oldest(self, spared: set[str]) -> None:
        total = sum(table.nbytes for table in self._open.values())
        room = OPEN_BYTES
        if self.device.type == "cuda":
            memory = torch.cuda.get_device_properties(self.device).total_memory
            room = min(room, int(DEVICE_SHARE * memory / self.sharing))
        for key in list(self._open):
            if total <= room:
                return
            if key not in spared:
                total -= self._open.pop(key).nbytes

    def _make_room(self, spared: str) -> None:
        """A process that has a removed file open can still read it."""
        files = []
        with contextlib.suppress(OSError):
            for path in self.folder.glob("[!.]*"):  # locks and what others are writing begin with a dot
                with contextlib.suppress(FileNotFoundError):  # another worker makes room too
                    files.append((path.stat().st_mtime, path.stat().st_size, path))
        total = sum(size for _, size, _ in files)
        for _, size, path in sorted(files):
            if total <= DISK_BYTES:
                return
            if path.name != spared:
                path.unlink(missing_ok=True)
                total -= size


def _write(path: Path, table: Tensor) -> None:
    """Under the name only when it is whole."""
    temporary = atomic.temporary_in(path.parent)
    try:
        save_file({VALUES: table.contiguous()}, temporary, {"key": path.name, "crc32": str(_checksum(table))})
        temporary.rename(path)
    except SafetensorError as error:  # what it makes of a full disk
        raise OSError(str(error)) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _read(path: Path) -> Tensor:
    """Mapped into memory. Raises whatever damage makes of that."""
    with safe_open(path, "pt") as file:
        about = file.metadata() or {}
        if about.get("key") != path.name:
            raise ValueError("another table under this name")
        table: Tensor = file.get_tensor(VALUES)
    if str(_checksum(table)) != about["crc32"]:
        raise ValueError("other bytes than were written")
    return table


def _checksum(table: Tensor) -> int:
    kind = zlib.crc32(f"{table.dtype} {tuple(table.shape)}".encode())
    return zlib.crc32(table.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().data, kind)
