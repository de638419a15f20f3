"""The first command that a newcomer types, with what it promises. Minutes: `tox -e slow`."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from bench.analysis.statistics import Interval, mean_interval, separated

ROOT = Path(__file__).parents[1]
SUITE = ROOT / "suites" / "quickstart.yaml"

pytestmark = pytest.mark.slow


def run(folder: Path) -> tuple[dict[str, Any], float]:
    where = ["--results", str(folder / "results"), "--reports", str(folder / "reports")]
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", str(SUITE), "--json", *where],
        capture_output=True, text=True, check=False, cwd=ROOT,
    )
    seconds = time.monotonic() - started
    assert done.returncode == 0, done.stderr
    printed: dict[str, Any] = json.loads(done.stdout)
    return printed, seconds


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], float]:
    folder = tmp_path_factory.mktemp("quickstart")
    return folder, *run(folder)


@pytest.fixture(scope="module")
def finals(first: tuple[Path, dict[str, Any], float]) -> pd.DataFrame:
    return pd.DataFrame(first[1]["finals"])


def interval(finals: pd.DataFrame, dataset: str, budget: str, strategy: str) -> Interval:
    wanted = (finals["dataset"] == dataset) & (finals["budget"] == budget) & (finals["strategy"] == strategy)
    return mean_interval(finals[wanted]["score"])


def test_everything_is_there_in_time(first: tuple[Path, dict[str, Any], float], finals: pd.DataFrame) -> None:
    folder, _, seconds = first
    assert (finals["status"] == "ok").all()
    assert finals.groupby(["dataset", "budget", "backbone", "strategy"]).size().min() >= 3
    assert finals["num_trials"].nunique() == 1
    assert (folder / "reports" / "quickstart.html").is_file()
    # The promise is 90 s on two idle cores; a shared machine may be slower, a broken schedule is far slower.
    assert seconds < 240


def test_transfer_helps_near_the_source(finals: pd.DataFrame) -> None:
    scratch = interval(finals, "near", "5", "scratch")
    for strategy in ("full_finetune", "linear_probe"):
        transferred = interval(finals, "near", "5", strategy)
        assert transferred.mean > scratch.mean
        assert separated(transferred, scratch)


def test_the_probe_does_not_beat_scratch_on_digits(finals: pd.DataFrame) -> None:
    scratch = interval(finals, "digits", "5", "scratch")
    probe = interval(finals, "digits", "5", "linear_probe")
    assert scratch.mean >= probe.mean or not separated(scratch, probe)


def test_again_trains_nothing_and_elsewhere_gives_the_same(
    first: tuple[Path, dict[str, Any], float], tmp_path: Path
) -> None:
    folder, printed, _ = first
    before = (folder / "reports" / "quickstart.html").read_bytes()
    again, seconds = run(folder)
    assert again["trainings"] == 0
    assert seconds < 30  # 15 s on idle cores
    assert (folder / "reports" / "quickstart.html").read_bytes() == before
    elsewhere, _ = run(tmp_path)
    keep = ["dataset", "budget", "strategy", "repeat", "score", "best_on_test", "lr", "flops", "key"]
    assert pd.DataFrame(elsewhere["finals"])[keep].equals(pd.DataFrame(printed["finals"])[keep])
