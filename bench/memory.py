"""How much memory this process may still take: what is larger is refused before it is read."""

from pathlib import Path

UNLIMITED = 1 << 60  # cgroups say "no limit" by a number that no machine has
CGROUPS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


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
    for path in CGROUPS:
        try:
            limit = int(Path(path).read_text())
        except (OSError, ValueError):  # "max" in the newer kind
            continue
        if limit < UNLIMITED:
            return limit
    return None
