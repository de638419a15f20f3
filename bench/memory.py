"""How much memory this process may still take: what is larger is refused before it is read. And when not to look for
garbage in it."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNLIMITED = 1 << 60  # cgroups say "no limit" by a number that no machine has
CGROUPS = (  # folder, limit, what is used of it
    ("/sys/fs/cgroup", "memory.max", "memory.current"),
    ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
)
FILES = "inactive_file", "active_file"  # bytes of files that are kept for another reader: given back when asked for


def available_memory() -> int | None:
    """Bytes: of the machine or, in a container, of what it may still take."""
    found = [free for free in (_machine_memory(), _container_memory()) if free is not None]
    return min(found, default=None)


def _machine_memory() -> int | None:
    try:
        lines = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _container_memory() -> int | None:
    for folder, *names in CGROUPS:
        try:
            limit, used = (int(Path(folder, name).read_text()) for name in names)
            counts = dict(line.split() for line in Path(folder, "memory.stat").read_text().splitlines())
            used -= sum(int(counts[name]) for name in FILES)
        except (OSError, KeyError, ValueError):  # "max" in the newer kind
            continue
        if limit < UNLIMITED:
            return max(0, limit - used)
    return None


@contextmanager
def collection(wanted: bool) -> Iterator[None]:
    """Whether Python looks for garbage. Where very many values are made and kept, as by a command that reads records,
    looking takes up to half of the time that making them takes; where something runs for hours, it is needed."""
    was_on = gc.isenabled()
    _collect(wanted)
    try:
        yield
    finally:
        _collect(was_on)


def _collect(wanted: bool) -> None:
    if wanted:
        gc.enable()
    else:
        gc.disable()
