"""`bench fetch`: all that a suite names and this machine lacks."""

from pathlib import Path

from bench.commands.missing import SHOWN, get
from bench.commands.output import note, say
from bench.commands.suites import Folders, plan_from_file
from bench.datasets.files import listed
from bench.errors import MissingInputs


def fetch_all(suite: Path, overrides: tuple[str, ...], folders: Folders) -> int:
    try:
        plan_from_file(suite, overrides, folders)
    except MissingInputs as error:
        get(error, suite)
        note(f"fetched {listed((one.what for one in error.missing), SHOWN)}")
        plan_from_file(suite, overrides, folders)
    say(f"all that {suite} names is on this machine; `python -m bench run {suite} --offline` needs no network")
    return 0
