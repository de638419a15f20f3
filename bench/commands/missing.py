"""What a suite names and this machine lacks, in three lines."""

from pathlib import Path

from bench.datasets.files import listed
from bench.errors import BenchError, Missing, MissingInputs
from bench.fetching import fetch, is_online

SHOWN = 8


def get(error: MissingInputs, suite: Path) -> None:
    """Fetched, or all that is missing and the two ways out."""
    if not is_online():
        raise BenchError(explain(error, suite)) from error
    try:
        fetch(error.missing)
    except BenchError as failed:
        raise BenchError(f"{failed}\n{explain(error, suite)}") from failed


def explain(error: MissingInputs, suite: Path) -> str:
    """What is missing, and the two ways out."""
    command = f"python -m bench {{}} {suite}"
    fetchable = all(one.can_fetch for one in error.missing)
    online = f"with a network, `{command.format('fetch')}`; else " if fetchable else ""
    return "\n".join([
        f"not on this machine: {listed(map(_shown, error.missing), SHOWN)}",
        f"to get it: {online}{_sentence(error.missing[0].way)} `--data DIR` names a folder to look in",
        f"to rehearse without it, on embedded data marked as such: `{command.format('run')} --stand-in`",
    ])


def _sentence(text: str) -> str:
    return text if text[-1] in ".?!" else f"{text}."


def _shown(one: Missing) -> str:
    """A file of the person's has its place in the suite, a public set its size."""
    told = f"{one.megabytes:,} MB" if one.megabytes else "" if one.can_fetch else one.where
    return one.what + (f" ({told})" if told else "")
