"""The first command that a newcomer types, from nothing: imports, pretraining, searches, finals, report."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd

from tests.benchmarks.arms import Arm

ROOT = Path(__file__).parents[2]
SUITE = ROOT / "suites" / "quickstart.yaml"


def test_quickstart(race, shop, tmp_path):
    runs = iter(range(100))

    def run():
        folder = tmp_path / str(next(runs))
        done = subprocess.run(
            [sys.executable, "-m", "bench", "run", str(SUITE), "--json", "--results", str(folder / "results"),
             "--reports", str(folder / "reports")],
            capture_output=True, text=True, check=False, cwd=ROOT,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return pd.DataFrame(json.loads(done.stdout)["finals"])

    finals = race.measure({"engine": Arm(run)}, rounds=1)["engine"]
    race.tell_seconds("quickstart", "engine", shop.target(90, 40), ceiling=180)
    assert (finals["status"] == "ok").all()
    scores = finals.groupby(["dataset", "budget", "strategy"])["score"].mean()
    assert scores["near", "5", "full_finetune"] > scores["near", "5", "scratch"]
    race.settle()
