"""`python -m tests.gpu.check [--minutes 8] [--json FILE]`: what this project does on the card at hand, in one command.

Each step is a process with a time limit of its own. Its result is printed when it ends, whatever became of those before
it, and written to the file; a table comes last. `--pretend`: every step on small work without a card, and no figure
counts as measured. `README.md` says how to bring it to a machine. `steps.py` has what is measured.
"""

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.gpu.figures import MARK, Figure, say

LAST_LINES = 12  # of a step that failed
SLOWER = 5  # a busy machine without a card
LEAST = 5.0  # seconds; a step that has fewer left is not begun


@dataclass(frozen=True)
class Step:
    name: str
    limit: float  # seconds
    command: tuple[str, ...]  # after `python -m`


@dataclass
class Result:
    step: str
    status: str  # "ok", "failed", "too long", "no time left"
    seconds: float
    limit: float
    figures: list[Figure] = field(default_factory=list)
    last_lines: list[str] = field(default_factory=list)


def steps(is_pretend: bool, folder: Path) -> list[Step]:
    """The most telling ones first: the time may not suffice for all."""
    on = ("--pretend",) if is_pretend else ()
    # The pretend device's own tests run in every test run; here a few stand for pytest's part.
    tests = ("tests/gpu/test_pretend.py", "-k", "counted_once") if is_pretend else ("-m", "gpu", "tests/gpu")

    slower = SLOWER if is_pretend else 1

    def measured(name: str, limit: float) -> Step:
        return Step(name, slower * limit, ("tests.gpu.steps", name, "--folder", str(folder / name), *on))

    return [
        Step("doctor", slower * 30, ("bench", "doctor")),
        Step("tests", slower * 90, ("pytest", "-q", "-p", "no:cacheprovider", *tests)),
        measured("training", 100),
        measured("quickstart", 150),
        measured("small networks", 60),
        measured("probe search", 60),
        measured("memory", 60),
    ]


def run(step: Step, left: float) -> Result:
    limit = min(step.limit, left)
    if limit < LEAST:
        return Result(step.name, "no time left", 0.0, limit)
    started = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", *step.command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        process_group=0,
    )  # fmt: skip
    try:
        told, _ = process.communicate(timeout=limit)
        status = "ok" if process.returncode == 0 else "failed"
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)  # and the processes that it started
        told, _ = process.communicate()
        status = "too long"
    figures = [Figure.from_line(line) for line in told.splitlines() if line.startswith(MARK)]
    others = [line for line in told.splitlines() if not line.startswith(MARK)]
    shown = [] if status == "ok" else others[-LAST_LINES:]
    return Result(step.name, status, time.perf_counter() - started, limit, figures, shown)


def tell(result: Result, is_pretend: bool) -> None:
    say(f"### {result.step}: {result.status}, {result.seconds:.0f} s of {result.limit:.0f} s")
    for figure in result.figures:
        say(f"    {figure.what}: not measured" if is_pretend else f"    {figure}")
    for line in result.last_lines:
        say(f"    | {line}")


def table(results: list[Result], is_pretend: bool) -> str:
    rows = [("step", "status", "what", "figure", "bar")]
    for one in results:
        for figure in one.figures or [None]:
            value = "" if figure is None else "not measured" if is_pretend else figure.value_text
            rows.append((one.step, one.status, *(("", "", "") if figure is None else (figure.what, value, figure.bar))))
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def machine(is_pretend: bool) -> dict[str, str]:
    if is_pretend:
        return {"card": "none: pretend", "python": platform.python_version()}
    found = subprocess.run(
        [sys.executable, "-c", "import torch;print(torch.cuda.get_device_name(0));print(torch.__version__)"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    card, version = [*found.stdout.splitlines(), "", ""][:2]
    return {"card": card or "none found", "torch": version, "python": platform.python_version()}


def write(path: Path | None, about: dict[str, str], results: list[Result], is_pretend: bool) -> None:
    if path is None:
        return
    told = {**about, "date": time.strftime("%Y-%m-%d"), "measured": not is_pretend,
            "steps": [asdict(one) for one in results]}  # fmt: skip
    path.write_text(json.dumps(told, indent=1) + "\n")


def check(chosen: list[Step], minutes: float, path: Path | None, is_pretend: bool) -> int:
    """1: a step did not end well."""
    ends = time.perf_counter() + 60 * minutes
    about = machine(is_pretend)
    say(", ".join(f"{name} {value}" for name, value in about.items()))
    results: list[Result] = []
    for step in chosen:
        results.append(run(step, ends - time.perf_counter()))
        tell(results[-1], is_pretend)
        write(path, about, results, is_pretend)
    say(table(results, is_pretend))
    return int(any(one.status != "ok" for one in results))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.gpu.check", description=__doc__)
    parser.add_argument("--minutes", type=float, help="all steps together end after so many (8; more with --pretend)")
    parser.add_argument("--json", type=Path, help="the file to write after each step")
    parser.add_argument("--pretend", action="store_true", help="small work without a card; nothing is measured")
    parser.add_argument("--only", nargs="*", default=[], help="names of steps")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        known = steps(given.pretend, Path(folder))
        if unknown := set(given.only) - {step.name for step in known}:
            parser.error(f"no such step: {', '.join(sorted(unknown))}; known: {', '.join(one.name for one in known)}")
        chosen = [step for step in known if not given.only or step.name in given.only]
        minutes = given.minutes or 8.0 * (SLOWER if given.pretend else 1)
        return check(chosen, minutes, given.json, given.pretend)


if __name__ == "__main__":
    raise SystemExit(main())
