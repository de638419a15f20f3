"""Transfer from real weights to real images, through the command itself."""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

pytestmark = [pytest.mark.real]
ROOT = Path(__file__).parents[2]
MOBILENET = {"name": "mobilenetv2_100", "options": {"pad_type": "same", "bn_eps": 0.001}, "mean": 0.5, "std": 0.5,
             "image_size": 96}  # fmt: skip
PROBES = {
    "name": "origins",
    "datasets": [{"name": "cifar10", "labels_per_class": [100]}],
    "backbones": [
        {**MOBILENET, "weights": "weights/timm_mobilenetv2_100_imagenet.pth", "label": "imagenet"},
        {**MOBILENET, "weights": "weights/timm_mobilenetv2_100_inat_bird.pth", "label": "birds"},
        {**MOBILENET, "weights": "random", "label": "random"},
    ],
    "strategies": ["logistic_probe"],
    "search": {"trials": 5},
    "repeats": 1,
}


def run(tmp_path, suite, *options):
    command = [sys.executable, "-m", "bench", "run", str(suite), "--json", "--results", str(tmp_path / "results"),
               "--reports", str(tmp_path / "reports"), *options]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    return pd.DataFrame(json.loads(done.stdout)["finals"])


def test_a_probe_knows_where_its_features_come_from(tmp_path, real):
    suite = tmp_path / "origins.yaml"
    suite.write_text(json.dumps(PROBES))
    scores = run(tmp_path, suite).set_index("backbone")["score"]
    assert scores["imagenet"] >= 0.70
    assert scores["random"] < 0.30
    assert scores["random"] + 0.1 < scores["birds"] < scores["imagenet"] - 0.1


@pytest.fixture(scope="module")
def low_data(tmp_path_factory, real):
    """The suite that reports/sample.html shows, with less of everything."""
    import os

    os.environ["BENCH_DATA"] = str(real)
    place = tmp_path_factory.mktemp("low")
    finals = run(place, ROOT / "suites" / "real_low_data.yaml", "--set", "datasets=[{name: \"folder:rsscn7\", "
                 "labels_per_class: 10}]", "--set", "strategies=[scratch, linear_probe]", "--set", "repeats=3",
                 "--set", "search={trials: 4, validation: {folds: 2}}")
    return finals, place


def test_pretrained_beats_scratch_with_separated_intervals(low_data):
    from bench.analysis.statistics import mean_interval

    finals, _ = low_data
    scratch = mean_interval(list(finals[finals["strategy"] == "scratch"]["score"]))
    probe = mean_interval(list(finals[finals["strategy"] == "linear_probe"]["score"]))
    assert probe.low > scratch.high


def test_its_report_is_written_and_no_path_of_this_machine_is_in_it(low_data, real):
    _, place = low_data
    page = (place / "reports" / "real_low_data.html").read_text()
    assert "rsscn7" in page
    assert str(real) not in page
