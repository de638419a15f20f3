"""`bench fetch`: all that a suite names and this machine lacks."""

from pathlib import Path

from bench.commands.missing import SHOWN, explain
from bench.commands.output import note, say
from bench.commands.suites import NO_LIMIT, Folders, plan_from_file
from bench.datasets.files import listed
from bench.errors import BenchError, MissingInputs
from bench.fetching import fetch, is_online


def fetch_all(suite: Path, overrides: tuple[str, ...], folders: Folders) -> int:
    try:
        plan_from_file(suite, overrides, folders, NO_LIMIT)
    except MissingInputs as error:
        if not is_online():
            note("no network here")
            raise BenchError(explain(error, suite)) from error
        fetch(error.missing)
        note(f"fetched {listed((one.what for one in error.missing), SHOWN)}")
        plan_from_file(suite, overrides, folders, NO_LIMIT)
    say(f"all that {suite} names is on this machine; `python -m bench run {suite} --offline` needs no network")
    return 0
