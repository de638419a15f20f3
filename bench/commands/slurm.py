"""`bench slurm`: a script for `sbatch` that runs a suite as a job array, one shard a task. Nothing is submitted."""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

from bench.commands.output import note, write
from bench.commands.run import RunOptions, part_taken, plan_with_all_it_needs
from bench.planning.plan import Plan
from bench.planning.shards import pieces_of

LAST_SECONDS = 120  # before its limit, when a task is asked to stop: it ends the trainings at hand


@dataclass(frozen=True)
class Tasks:
    count: int
    cap: int | None = None  # how many may run at once
    gpus: int | None = None  # of each
    cpus: int | None = None
    time: str | None = None  # HH:MM:SS, or what else Slurm reads
    data: Path | None = None
    cache: Path | None = None


def show_script(options: RunOptions, tasks: Tasks) -> int:
    whole, _ = plan_with_all_it_needs(options)
    plan = part_taken(whole, options)
    pieces = len(pieces_of(plan))
    if tasks.count > pieces:
        note(f"{tasks.count} tasks: the suite comes apart into {pieces} pieces, so {tasks.count - pieces} of them will "
             "find nothing to do")  # fmt: skip
    write("\n".join([*_head(plan, tasks), "", *_body(options, tasks), ""]))
    return 0


def _head(plan: Plan, tasks: Tasks) -> list[str]:
    array = f"1-{tasks.count}" + (f"%{tasks.cap}" if tasks.cap else "")
    wanted = [
        f"--job-name={plan.loaded.suite.name}", f"--array={array}", "--ntasks=1",
        *([f"--cpus-per-task={tasks.cpus}"] if tasks.cpus else []),
        *([f"--gpus-per-task={tasks.gpus}"] if tasks.gpus else []),
        *([f"--time={tasks.time}", f"--signal=B:TERM@{LAST_SECONDS}"] if tasks.time else []),
        "--requeue", "--open-mode=append",
    ]  # fmt: skip
    return ["#!/bin/bash", *(f"#SBATCH {one}" for one in wanted),
            "# Submit it again after failures, or when time ran out: what is finished is not repeated.",
            *_advice(len(plan.pretrainings().jobs))]  # fmt: skip


def _advice(num_pretrainings: int) -> list[str]:
    if not num_pretrainings:
        return []
    return [
        f"# Pretrainings come first ({num_pretrainings}): each is made by the first task to come, and tasks that have",
        "# nothing else to do wait for it. To make them before the other tasks start, submit this file twice:",
        "#   sbatch --array=0 FILE      and then, with the number that it prints,",
        "#   sbatch --dependency=afterok:NUMBER FILE",
    ]


def _body(options: RunOptions, tasks: Tasks) -> list[str]:
    run = [sys.executable, "-m", "bench", "run", str(options.suite)]
    for value in options.overrides:
        run += ["--set", value]
    for value in options.filters:
        run += ["--filter", value]
    places = {"--data": tasks.data, "--cache": tasks.cache, "--results": options.folders.results,
              "--reports": options.folders.reports}  # fmt: skip
    for name, path in places.items():
        run += [name, str(path)] if path is not None else []
    run += ["--offline"] if options.offline else []
    return [
        f"cd -- {shlex.quote(str(Path.cwd()))}",
        "# The last task to end finds nothing missing and writes the page. `exec`: signals reach the run itself.",
        f'exec {shlex.join(run)} --shard "$SLURM_ARRAY_TASK_ID/{tasks.count}"',
    ]
