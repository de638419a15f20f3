"""Do the heavy libraries import, and does torch see the devices? `asking.py` finds out in a process that may crash."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.commands.doctor.check import Check
from bench.execute.gpus import driver_gpus

TRIED = ("torch", "torchvision", "timm", "optuna")
ASKING = Path(__file__).with_name("asking.py")
PATIENCE = 300  # seconds; a cold network disk takes one of them
CPU_ONLY = "`run --gpus 0` uses the CPU meanwhile"

Answers = dict[str, dict[str, Any]]

# A part of the message -> what it means and what to do. The first that fits is taken.
REASONS = {
    "operator torchvision::": "this torchvision does not belong to this build of torch: install both anew, together "
    "and from the same index",
    "undefined symbol": "compiled for another build of torch or another system: install torch and torchvision anew, "
    "together and from the same index",
    "libcud": "a CUDA library is missing: install a torch build for this machine's CUDA, or the CPU build",
    "GLIBCXX": "this system's C++ library is too old for the installed wheel",
    "GLIBC": "this system's C library is too old for the installed wheel",
    "_ARRAY_API": "compiled for another numpy: install it and numpy anew",
    "numpy.dtype size changed": "compiled for another numpy: install it and numpy anew",
    "No module named": "not installed, or only in part: install it again",
    "circular import": "a file of that name lies in the current folder and is imported instead: rename it",
}


def ask() -> Answers:
    """Name -> what came of importing it. The last name without an answer took the process down."""
    # By `-c`, the current folder comes first on the path, as it does in a run: a file there may hide a library.
    command = [sys.executable, "-c", f"import runpy; runpy.run_path({str(ASKING)!r}, run_name='__main__')", *TRIED]
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False)
        printed, ended = done.stdout, f"the import ended the process ({_how(done.returncode)})"
    except subprocess.TimeoutExpired as error:
        raw = error.stdout or b""
        printed = raw.decode(errors="replace") if isinstance(raw, bytes) else raw
        ended = f"the import did not end within {PATIENCE} s"
    answers: Answers = {}
    for line in printed.splitlines():
        if line.startswith('{"name"'):  # a library may print something of its own
            answer = json.loads(line)
            answers[answer["name"]] = answer
    for name in TRIED:
        if name not in answers:
            answers[name] = {"name": name, "error": ended}
            ended = "not tried, since the import before it did not end well"
    return answers


def _how(returncode: int) -> str:
    return f"signal {-returncode}" if returncode < 0 else f"exit code {returncode}"


def check_imports(answers: Answers) -> list[Check]:
    return [_check_import(name, answers[name].get("error")) for name in TRIED]


def _check_import(name: str, error: str | None) -> Check:
    if error is None:
        return Check(f"import {name}", "ok", "imports")
    return Check(f"import {name}", "fails", explain(error))


def explain(error: str) -> str:
    meaning = next((text for part, text in REASONS.items() if part in error), None)
    return f"{meaning} ({error})" if meaning else f"{error}: install it anew, or see what `python -c 'import ...'` says"


def check_devices(answers: Answers) -> Check:
    """What the driver sees against what torch can use."""
    found, torch = driver_gpus(), answers["torch"]
    driver = len(found.names)
    if "error" in torch:
        return Check("devices", "warning", f"the driver sees {driver} GPUs; what torch sees is open until it imports")
    seen = torch["gpus"]
    if driver and not seen:
        build = f"for CUDA {torch['cuda']}" if torch["cuda"] else "for CPUs only"
        return Check("devices", "fails", f"the driver sees {driver} GPUs, torch none: this torch is built {build}"
                     f"{_because(torch)}; install a build that fits the driver; {CPU_ONLY}")
    if torch["trouble"]:
        return Check("devices", "fails", f"{len(seen)} GPUs are there but cannot compute{_because(torch)}; {CPU_ONLY}")
    if len(seen) != driver:
        return Check("devices", "warning", f"the driver sees {driver} GPUs, torch {len(seen)}; say how many to use "
                     "with `run --gpus N`")
    if found.trouble:
        return Check("devices", "warning", f"{found.trouble}; the CPU is used")
    return Check("devices", "ok", f"{len(seen)} GPUs: {', '.join(seen)}" if seen else "no GPU; the CPU is used")


def _because(torch: dict[str, Any]) -> str:
    return f" ({torch['trouble']})" if torch["trouble"] else ""
