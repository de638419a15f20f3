"""`python -m tests.benchmarks.many --records 100000`: what commands cost where a suite has very many records.

Fabricates a whole results folder (no training: `tests/commands/fabricate.py`; kept with --folder, and used again), then
times each command in a process of its own: wall and CPU seconds, and the largest process. The first `status` finds no
index (`bench/store/index.py`); every later command does.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.commands.suites import Folders, plan_from_file, remember
from bench.planning.plan import Plan
from bench.store import encoding
from tests.commands.fabricate import record_of

BUDGETS = (2, 3, 5, 8, 12)  # labels per class; of four data sets, so 20 tasks
PER_CELL = 45  # records: 5 repeats with 8 trials and a final each
SUITE = """\
name: many
datasets:
{datasets}
backbones:
{backbones}
strategies:
{strategies}
training: {{steps: 24, batch_size: 16, evaluations: 2}}
search: {{trials: 8, validation: {{folds: 2}}}}
engine: {{precision: fp32}}
repeats: 5
max_runs: 10000000
"""
COMMANDS = {
    "status": ["status", "many"],
    "report": ["report", "many"],
    "run, nothing to do": ["run", "many.yaml"],
    "baseline accept": ["baseline", "accept", "many.yaml", "--reuse"],
    "gate": ["gate", "many.yaml", "--reuse"],
}  # fmt: skip


def suite_of(num_records: int) -> str:
    """About as many; backbones and strategies grow alike."""
    pairs = max(1.0, num_records / PER_CELL / (4 * len(BUDGETS)))
    num_backbones = max(1, round(math.sqrt(pairs)))
    num_strategies = max(2, round(pairs / num_backbones))
    first = ["  - scratch", "  - linear_probe", "  - full_finetune"][:num_strategies]
    return SUITE.format(
        datasets="\n".join(f"  - {{name: {name}, labels_per_class: {list(BUDGETS)}}}"
                           for name in ("near", "mid", "far", "digits")),
        backbones="\n".join(f"  - {{name: small_resnet, label: net{number}, options: {{width: {8 + 4 * number}}}, "
                            "pretrain: {dataset: source, epochs: 1}}" for number in range(num_backbones)),
        strategies="\n".join([*first, *(f"  - {{l2_sp: {{alpha: {(number + 1) / 1000}}}}}"
                                        for number in range(num_strategies - len(first)))]),
    )  # fmt: skip


def planned(folder: Path) -> tuple[Plan, Folders]:
    folders = Folders(folder / "results", folder / "reports")
    return plan_from_file(folder / "many.yaml", (), folders), folders


def fill(folder: Path, part: int, parts: int) -> int:
    """Records of every so manieth job, written without waiting for the disk."""
    plan, folders = planned(folder)
    roots, made = folders.roots("many"), 0
    for job in list(plan.jobs.values())[part::parts]:
        for number, key in enumerate(job.record_keys):
            path = roots.store_of(job).path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoding.encode(record_of(job, number, key, roots)))
            made += 1
    return made


def fabricated(folder: Path, num_records: int) -> None:
    if (folder / "many.yaml").exists():
        return
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    (folder / "many.yaml").write_text(suite_of(num_records))
    plan, folders = planned(folder)
    with ProcessPoolExecutor() as pool:
        made = sum(pool.map(fill, [folder] * 2, range(2), [2] * 2))
    remember(plan, (), folders)
    say(f"{len(plan.cells)} cells, {len(plan.jobs)} jobs, {made} records made in {time.monotonic() - begun:.0f} s")


def timed(folder: Path, name: str, arguments: list[str]) -> str:
    begun = time.monotonic()
    log = folder / f"{name.replace(', ', ' ').replace(' ', '-')}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([sys.executable, "-m", "bench", *arguments], cwd=folder, stdout=out, stderr=out)
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall, cpu = time.monotonic() - begun, used.ru_utime + used.ru_stime
    return f"{name:24} {wall:7.1f} s {cpu:7.1f} s CPU {used.ru_maxrss / 2**20:6.2f} GiB   exit {process.returncode}"


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--records", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, help="where they are made, and stay")
    parser.add_argument("--only", nargs="*", choices=COMMANDS, default=list(COMMANDS), metavar="command")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="many-"))
    try:
        fabricated(folder, options.records)
        for name in options.only:
            say(timed(folder, name, COMMANDS[name]))
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
