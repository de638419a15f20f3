"""`python -m tests.faults.fuzz TARGET [--count N] [--seed S]`: damaged files of one kind, or of `all`, are given to
what reads them. Each must be read, or refused in the words that the reader has for it; anything else is foreign.

One line for each target, and exit code 1 where something was foreign: its files are then kept, and named. What is
damaged, and what reads it, stands in `targets.py`.
"""

import argparse
import contextlib
import os
import random
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.mutate import damaged
from tests.faults.targets import TARGETS, Target

PATIENCE = 60.0  # seconds for one file; then it counts as foreign
SHOWN = 3  # foreign exceptions that are kept and named
WARM = 20  # files until a reader has all it keeps: memory is counted from there


class Late(BaseException):
    """No `Exception`: readers take any of those for damage."""


@dataclass
class Tally:
    tried: int = 0
    refused: int = 0
    accepted: int = 0
    foreign: int = 0
    slowest: float = 0.0  # seconds of CPU
    growth: float = 0.0  # MB of peak memory, since the first files
    examples: list[str] = field(default_factory=list)

    def line(self, name: str) -> str:
        return (f"{name}: {self.tried:,} tried, {self.refused:,} refused, {self.accepted:,} accepted, {self.foreign} "
                f"foreign exceptions; slowest {self.slowest:.2f} s of CPU, memory +{self.growth:.0f} MB")  # fmt: skip


def fuzz(name: str, count: int, seed: int, kept: Path) -> Tally:
    """`kept`: the folder for files that brought something foreign to light."""
    target, rng, tally = TARGETS[name], random.Random(f"{name} {seed}"), Tally()
    with tempfile.TemporaryDirectory(prefix="transfer-bench-fuzz-") as place, _quiet():
        folder = Path(place)
        seeds = target.seeds(folder)
        for title, data in seeds.items():
            target.read(folder, title, data)  # a target that refuses what is whole would test nothing
        for number in range(count):
            if number == WARM:
                base = _peak()
            title, data = _made(target, seeds, rng)
            _try(target, (folder, title, data), tally, kept / f"{name}-{seed}-{number}-{title}")
        tally.growth = _peak() - base if count > WARM else 0.0
    return tally


def _made(target: Target, seeds: dict[str, bytes], rng: random.Random) -> tuple[str, bytes]:
    if target.forge is not None and rng.random() < 0.5:
        with contextlib.suppress(ValueError, TypeError, AttributeError):  # the writer itself refuses such a value
            return target.forge(rng)
    title = rng.choice(sorted(seeds))
    return title, damaged(seeds[title], list(seeds.values()), target.tokens, rng)


def _try(target: Target, case: tuple[Path, str, bytes], tally: Tally, kept: Path) -> None:
    tally.tried += 1
    start = time.process_time()
    try:
        with _patience():
            target.read(*case)
        tally.accepted += 1
    except target.refusals as error:
        if all(line.isprintable() for line in str(error).splitlines()):
            tally.refused += 1
        else:
            _keep(f"a message that does not stay on its line: {str(error)!r}", case[2], tally, kept)
    except (Exception, Late) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}:{last.lineno}"
        _keep(f"{type(error).__name__} at {where}: {str(error)[:200]!r}", case[2], tally, kept)
    tally.slowest = max(tally.slowest, time.process_time() - start)


def _keep(what: str, data: bytes, tally: Tally, kept: Path) -> None:
    tally.foreign += 1
    if tally.foreign <= SHOWN:
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(data)
        tally.examples.append(f"  {kept}: {what}")


@contextlib.contextmanager
def _patience() -> Iterator[None]:
    def late(*_: object) -> None:
        raise Late(f"not done after {PATIENCE:.0f} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """libjpeg and libtiff complain of each damaged file on the process's own stderr."""
    ours = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        os.dup2(ours, 2)
        os.close(ours)
        os.close(nowhere)


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.fuzz", description=__doc__)
    parser.add_argument("target", choices=[*TARGETS, "all"])
    parser.add_argument("--count", type=int, help="files; unset, " + ", ".join(
        f"{target.count:,} {name}" for name, target in TARGETS.items()))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()) / "transfer-bench-foreign",
                        help="the folder for files that brought something foreign to light")  # fmt: skip
    asked = parser.parse_args(arguments)
    worst = 0
    with tempfile.TemporaryDirectory(prefix="transfer-bench-cache-") as cache:
        os.environ["XDG_CACHE_HOME"] = cache  # what readers remember of such files is for nobody
        for name in TARGETS if asked.target == "all" else [asked.target]:
            tally = fuzz(name, TARGETS[name].count if asked.count is None else asked.count, asked.seed, asked.keep)
            print("\n".join([tally.line(name), *tally.examples]), flush=True)  # noqa: T201  (its answer)
            worst = max(worst, min(tally.foreign, 1))
    return worst


if __name__ == "__main__":
    sys.exit(main())
