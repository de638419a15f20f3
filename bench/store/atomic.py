"""A file appears whole or not at all, whatever dies meanwhile. `store.py` and `blobs.py` write through here."""

import contextlib
import errno
import hashlib
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from bench.errors import StoreError

PREFIX = ".tmp-"  # then machine, pid, random: `sweep` must know whose a left-over file is
_OURS = re.compile(r"\.tmp-[0-9a-f]{8}-[0-9]+-[0-9a-f]{16}")
FOREIGN_SECONDS = 24 * 3600.0  # no write takes that long: another machine's file this old has no writer
PROBE_BYTES = 1 << 16

_WORDS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports an input/output error",
    errno.EFBIG: "the file is larger than allowed here",
    errno.EEXIST: "a file stands where a folder is needed",
    errno.ENOTDIR: "a file stands where a folder is needed",
    errno.EISDIR: "a folder stands where the file should be",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOENT: "it is not there, or no more",
    errno.ESTALE: "it is gone from its server",
    errno.ENAMETOOLONG: "the name is too long",
    errno.ELOOP: "a link that leads back to itself",
}


def explain(error: OSError) -> str:
    """What went wrong, in words and with the system's name for it."""
    if error.errno is None:
        return str(error)
    words = _WORDS.get(error.errno, os.strerror(error.errno))
    return f"{words} ({errno.errorcode.get(error.errno, error.errno)})"


def is_known(error: OSError) -> bool:
    """Whether the person at the terminal can mend it."""
    return error.errno in _WORDS


def write_bytes(path: Path, data: bytes) -> None:
    """Replace `path` by `data`. On return the file outlives a power cut; on StoreError the old file or the new
    one stands whole and no temporary file is left."""
    try:
        if _is_special(path):
            raise StoreError(f"cannot write {path}: it is a device or a pipe, which a file would replace")
        make_folder(path.parent)
        temporary = temporary_in(path.parent)
        try:
            _write_new(temporary, data)
            temporary.replace(path)
        except BaseException:  # an interrupt leaves nothing behind either
            _discard(temporary)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise StoreError(f"cannot write {path}: {explain(error)}") from error


def probe(folder: Path) -> None:
    """Write a file and remove it: a full or read-only disk shows before the work, not after it."""
    try:
        make_folder(folder)
        temporary = temporary_in(folder)
        try:
            _write_new(temporary, os.urandom(PROBE_BYTES))
        finally:
            _discard(temporary)
    except OSError as error:
        raise StoreError(f"cannot write in {folder}: {explain(error)}") from error


def make_folder(folder: Path) -> None:
    """Make the folder and its parents; each new name is synced, or a power cut could lose it with all inside."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: syncing a file does not sync its name."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # what file systems say that cannot sync folders
            raise
    finally:
        os.close(descriptor)


def sweep(root: Path) -> int:
    """Remove the temporary files and folders below `root` whose writers are dead; returns how many."""
    every = ((Path(folder), [*folders, *names]) for folder, folders, names in os.walk(root))
    return sum(_sweep(folder / name for name in names if name.startswith(PREFIX)) for folder, names in every)


def sweep_beside(path: Path) -> int:
    """The same in a file's folder alone, which may be anybody's: what has another name than ours stays."""
    try:
        return _sweep(one for one in path.parent.iterdir() if _OURS.fullmatch(one.name))
    except OSError:
        return 0  # a folder that can be written, but not read


def _sweep(paths: Iterable[Path]) -> int:
    removed = 0
    for path in paths:
        with contextlib.suppress(OSError):  # another runner sweeps, too
            if _is_stale(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                removed += 1
    return removed


def _is_special(path: Path) -> bool:
    """`--junit /dev/null`, typed by root, must not end the machine's /dev/null."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False  # nothing is there, or writing will tell why not
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def temporary_in(folder: Path) -> Path:
    """A name for what is to be renamed once it is whole. `sweep` removes it when this process has died."""
    return folder / f"{PREFIX}{_machine()}-{os.getpid()}-{secrets.token_hex(8)}"


def _write_new(path: Path, data: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        rest = memoryview(data)
        while rest:  # a write may be short: nearly full disk, a signal, more than 2 GiB
            written = os.write(descriptor, rest)
            if written == 0:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            rest = rest[written:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)  # may raise, too: network file systems report a full disk here


def _discard(temporary: Path) -> None:
    with contextlib.suppress(OSError):  # the first error is the one to tell; `sweep` comes for the file
        temporary.unlink(missing_ok=True)


def _machine() -> str:
    """Tells apart whom a pid belongs to where machines or containers share the folder."""
    try:
        namespace = Path("/proc/self/ns/pid").stat().st_ino
    except OSError:
        namespace = 0
    return hashlib.sha256(f"{os.uname().nodename}/{namespace}".encode()).hexdigest()[:8]


def _is_stale(path: Path) -> bool:
    machine, _, rest = path.name.removeprefix(PREFIX).partition("-")
    pid = rest.partition("-")[0]
    if machine == _machine() and pid.isdecimal():
        return not _is_alive(int(pid))
    return time.time() - path.stat().st_mtime > FOREIGN_SECONDS


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
