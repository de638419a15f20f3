"""Suites and results from Python, as a script or a notebook has them."""

import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import bench
from bench.api import NAMELESS, Results
from bench.errors import BenchError, SuiteError
from tests.analysis.synthetic import World, make

ROOT = Path(__file__).parents[1]
SUITE = {
    "name": "from_python",
    "datasets": [{"name": "digits", "labels_per_class": [4]}],
    "backbones": [{"name": "small_resnet", "options": {"width": 4}}],
    "strategies": ["ridge_probe", "knn"],
    "training": {"steps": 2},
    "search": {"trials": 2},
    "repeats": 2,
}
SCRIPT = f"""
import bench

if __name__ == "__main__":
    results = bench.run({SUITE!r}, results="made", reports="pages", workers=1)
    again = bench.load("from_python", results="made")
    assert results.finals.equals(again.finals)
    print(results.finals[["strategy", "repeat", "status", "score"]].to_csv(index=False))
    print("predictions", len(results.predictions(strategy="knn", repeat=0)))
"""


def test_a_mapping_is_run_and_its_results_are_found_by_name(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "script.py"], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert [line.rsplit(",", 1)[0] for line in lines[1:5]] == [
        "ridge_probe,0,ok", "ridge_probe,1,ok", "knn,0,ok", "knn,1,ok"
    ]  # fmt: skip
    assert any(line.startswith("predictions ") and int(line.split()[1]) > 300 for line in lines)
    assert (tmp_path / "pages" / "from_python.html").is_file()
    assert "from_python" in (tmp_path / "made" / "from_python" / "suite.yaml").read_text()


def test_a_mapping_is_planned_as_a_file_is(tmp_path):
    made = bench.plan(SUITE, results=tmp_path)
    (tmp_path / "suite.yaml").write_text(made.loaded.text)
    assert list(made.jobs) == list(bench.plan(tmp_path / "suite.yaml", results=tmp_path).jobs)
    more = bench.plan(SUITE, overrides=["repeats=3"], results=tmp_path)
    assert len(more.jobs) > len(made.jobs)


def test_what_is_wrong_in_a_mapping_is_told_with_its_place(tmp_path):
    with pytest.raises(SuiteError, match=rf"{NAMELESS}:\d+:\d+: unknown key 'strategie'.*did you mean 'strategies'"):
        bench.plan({**SUITE, "strategie": []}, results=tmp_path)
    with pytest.raises(BenchError, match="unknown run 'nothing'"):
        bench.load("nothing", results=tmp_path)


def test_frames_have_a_row_for_each_training_and_no_handles():
    results = Results(make(World(datasets=("near",), gaps=True)))
    assert len(results.finals) == len(results.suite.finals)
    for frame in (results.finals, results.trials, results.pretrainings, results.curves, results.cells):
        assert not [name for name in frame if any(isinstance(one, (tuple, list, dict)) for one in frame[name])]
    first = results.suite.finals.iloc[0]
    mine = results.curves.query("strategy == @first.strategy and budget == @first.budget and repeat == @first.repeat")
    assert list(zip(mine["step"], mine["score"], strict=True)) == list(first["curve"])
    assert results.answer
    assert "<table" in results._repr_html_()


def test_names_in_a_notebook_are_text():
    made = make(World(datasets=("near",)))
    finals = made.finals.assign(dataset="<script>")
    shown = Results(type(made)("<b>", "", "", made.suite, finals, made.trials, made.pretrainings))._repr_html_()
    assert "<script>" not in shown
    assert "<h3>&lt;b&gt;</h3>" in shown


def test_predictions_of_an_unknown_column_are_refused():
    results = Results(make(World(datasets=("near",))))
    with pytest.raises(BenchError, match="unknown column 'strateg'"):
        results.predictions(strateg="scratch")
    assert results.predictions().empty
    assert isinstance(results.predictions(strategy="scratch"), pd.DataFrame)


def test_importing_the_package_imports_no_pandas():
    code = "import sys, bench; print('pandas' in sys.modules, bench.__version__)"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ended.stdout.split() == ["False", bench.__version__]
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        bench.lode  # noqa: B018
