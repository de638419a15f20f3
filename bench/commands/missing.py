"""What a suite names and this machine lacks, in three lines."""

from pathlib import Path

from bench.datasets.files import listed
from bench.errors import Missing, MissingInputs

SHOWN = 8


def explain(error: MissingInputs, suite: Path) -> str:
    """What is missing, and the two ways out."""
    command = f"python -m bench {{}} {suite}"
    fetchable = all(one.can_fetch for one in error.missing)
    online = f"with a network, `{command.format('fetch')}`; else " if fetchable else ""
    return "\n".join([
        f"not on this machine: {listed(map(_shown, error.missing), SHOWN)}",
        f"to get it: {online}{error.missing[0].way} (or --data DIR)",
        f"to rehearse without it, on embedded data marked as such: `{command.format('run')} --stand-in`",
    ])


def _shown(one: Missing) -> str:
    return one.what + (f" ({one.megabytes:,} MB)" if one.megabytes else "")
