"""`bench doctor`: what on this machine will not work, why, and what to do.

`libraries.py` reads versions without importing, `imports.py` asks the libraries themselves in a process of their own,
`machine.py` looks at devices, memory and the results folder.
"""

import dataclasses
from pathlib import Path

from bench.commands.doctor.check import Check
from bench.commands.doctor.imports import TRIED, ask, check_devices, check_imports
from bench.commands.doctor.libraries import check_entry_points, check_extras, check_python, check_versions
from bench.commands.doctor.machine import check_folder, check_hub, check_locks, check_machine, check_memory
from bench.commands.output import as_json, note, say, table
from bench.errors import INCOMPLETE

__all__ = ["Check", "examine"]


def examine(results: Path, json: bool) -> int:
    if not json:
        note(f"importing {', '.join(TRIED)}: this takes some seconds")
    answers = ask()
    checks = [
        check_python(),
        *check_versions(),
        *check_extras(),
        *check_imports(answers),
        *check_entry_points(),
        check_devices(answers),
        check_machine(),
        check_memory(),
        *check_folder(results),
        check_locks(results),
        check_hub(),
    ]
    failing = sum(check.verdict == "fails" for check in checks)
    if json:
        as_json([dataclasses.asdict(check) for check in checks])
    else:
        table(["", "what", "found"], [[check.verdict, check.name, check.text] for check in checks])
        say()
        say(f"{failing} of {len(checks)} checks fail" if failing else "nothing stands in the way of a run")
    return INCOMPLETE if failing else 0
