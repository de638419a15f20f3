"""Results as files of other programs, read back with their own readers."""

import json
import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import bench as package
from bench.api import EXPORTED, Results
from bench.commands import export
from bench.errors import BenchError
from tests.analysis.synthetic import World, make


@pytest.fixture(scope="module")
def results():
    made = make(World(datasets=("mid", "digits"), budgets=(5, 100), strategies=("scratch", "linear_probe",
                                                                                "freeze(upto=3)", "discriminative")))
    finals = made.finals.assign(options=["alpha=0.1" if n % 2 else "" for n in range(len(made.finals))],
                                lesson="", weights="")
    finals["curve"] = [((1, 0.25), (2, 1 / 3)) if status == "ok" else () for status in finals["status"]]
    return Results(type(made)(made.name, made.description, made.suite_text, made.suite, finals, made.trials,
                              made.pretrainings))


def test_what_is_exported_has_gaps_and_every_digit(results):
    assert {"missing", "failed"} <= set(results.finals["status"])
    assert results.finals["score"].isna().any()
    assert (results.finals["score"] * 3).map(lambda x: len(repr(x))).max() > 10
    assert not [c for name in EXPORTED for c in getattr(results, name) if c in ("projection", "classes", "predictions")]


def same(read, frame):
    """Value by value; dtypes of numbers may be wider."""
    assert list(read.columns) == list(frame.columns)
    assert len(read) == len(frame)
    for name in frame:
        for a, b in zip(read[name].tolist(), frame[name].tolist(), strict=True):
            gone = [one is None or (isinstance(one, float) and math.isnan(one)) for one in (a, b)]
            assert a == b or all(gone), (name, a, b)


def test_csv_and_parquet_are_read_back_by_pandas(results, tmp_path):
    assert {path.name for path in results.export("csv", tmp_path)} == {f"{name}.csv" for name in EXPORTED}
    results.export("parquet", tmp_path)
    for name in EXPORTED:
        frame = getattr(results, name)
        texts = {column: str for column in frame if pd.api.types.is_string_dtype(frame[column])}
        numbers = {column: [""] for column in frame if column not in texts}
        read = pd.read_csv(tmp_path / f"{name}.csv", dtype=texts, keep_default_na=False, na_values=numbers,
                           engine="python")  # fmt: skip  its floats are exact in every release
        same(read, frame)
        kept = pd.read_parquet(tmp_path / f"{name}.parquet")
        same(kept, frame)
        assert [str(one) for one in kept.dtypes] == [str(one) for one in frame.dtypes], name


def test_one_json_file_has_all_frames_and_the_settings(results, tmp_path):
    (path,) = results.export("json", tmp_path)
    found = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(name))
    assert found["suite"] == results.name
    assert found["settings"] == results.suite.suite
    for name in EXPORTED:
        same(pd.DataFrame(found[name], columns=list(getattr(results, name))).replace("inf", math.inf),
             getattr(results, name))


def test_markdown_has_each_mean_with_its_interval_and_repeats(results, tmp_path):
    (path,) = results.export("markdown", tmp_path)
    lines = [line for line in path.read_text().splitlines() if line.startswith("|")]
    table = {cells[1].strip(): cells[2:-1] for cells in (line.split("|") for line in lines[2:])}
    names = [name.strip() for name in lines[0].split("|")[2:-1]]
    assert len({line.count("|") for line in lines}) == 1
    for row in results.cells.to_dict("records"):
        task, strategy = f"{row['dataset']} @ {row['budget']}", row["strategy"].replace("_", "\\_")
        text = table[strategy][names.index(task)] if strategy in table else table[task][names.index(strategy)]
        scores = results.finals.query("dataset == @row['dataset'] and budget == @row['budget'] and "
                                      "strategy == @row['strategy'] and status == 'ok'")["score"]  # fmt: skip
        if len(scores):
            assert text.strip().startswith(f"{100 * scores.mean():.1f} "), text
            assert re.search(rf"\({len(scores)}( of \d)?\)", text), text
        else:
            assert "—" in text


def test_a_name_breaks_no_table(results):
    assert export._cell("a|b*c\nd [x](y)") == "a\\|b\\*c d \\[x](y)"


def test_only_what_an_export_wrote_is_replaced(results, tmp_path):
    first = results.export("json", tmp_path)
    assert results.export("json", tmp_path) == first
    results.export("csv", tmp_path)
    first[0].write_text("mine")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BenchError, match="is in the way: it was not written by an export, or has been changed since"):
        results.export("json", tmp_path)
    assert first[0].read_text() == "mine"
    assert sorted(tmp_path.iterdir()) == before
    (tmp_path / export.WRITTEN).write_text("[]")
    with pytest.raises(BenchError, match="is in the way"):
        results.export("csv", tmp_path)


def test_the_command(bench, ran):
    said = bench("export", "small", "--to", "csv")
    assert said.code == 0, said.err
    found = pd.read_csv("exports/small/finals.csv")
    finals = package.load("small").finals
    assert np.array_equal(found["score"], finals["score"])
    assert bench("export", "small", "--to", "markdown", "--json").json == ["exports/small/small.md"]
    assert "--uri goes with --to mlflow" in bench("export", "small", "--to", "csv", "--uri", "x").error
    other = Path("other")
    other.mkdir()
    (other / "finals.csv").write_text("mine")
    assert "other/finals.csv is in the way" in bench("export", "small", "--to", "csv", "--output", "other").error


@pytest.mark.filterwarnings("ignore")
def test_mlflow_has_a_run_for_each_final_once(results, tmp_path):
    mlflow = pytest.importorskip("mlflow")
    from bench.commands.mlflow_runs import CURVE, FINAL, local

    uri = local(tmp_path)
    there = results.finals.query("status != 'missing'")
    assert results.export_to_mlflow(uri) == (len(there), 0)
    assert results.export_to_mlflow(uri) == (0, len(there))
    client = mlflow.MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name(results.name).experiment_id
    runs = client.search_runs([experiment], max_results=1000)
    assert len(runs) == len(there) == len({run.data.tags[FINAL] for run in runs})
    by_cell = {tuple(run.data.params[name] for name in ("dataset", "budget", "backbone", "strategy", "repeat")): run
               for run in runs}  # fmt: skip
    for row in there.to_dict("records"):
        run = by_cell[tuple(str(row[name]) for name in ("dataset", "budget", "backbone", "strategy", "repeat"))]
        assert run.info.run_name == row["key"]
        assert run.info.status == ("FINISHED" if row["status"] == "ok" else "FAILED")
        for name in ("score", "seconds", "flops", "best_on_test"):
            assert run.data.metrics.get(name, math.nan) == pytest.approx(row[name], abs=0, rel=1e-15, nan_ok=True)
        assert run.data.params.get("options", "") == row["options"]
    curve = client.get_metric_history(next(r for r in runs if r.info.status == "FINISHED").info.run_id, CURVE)
    assert sorted((one.step, one.value) for one in curve) == [(1, 0.25), (2, 1 / 3)]
    # Made again with another score, and cut off: both are replaced.
    changed = results.suite.finals.copy()
    row = changed.index[changed["status"] == "ok"][0]
    changed.loc[row, "score"] = 0.125
    client.delete_tag(runs[-1].info.run_id, "bench.content")
    again = Results(type(results.suite)(results.name, "", "", results.suite.suite, changed, results.trials,
                                        results.pretrainings))  # fmt: skip
    assert again.export_to_mlflow(uri)[0] in (1, 2)
    after = client.search_runs([experiment], max_results=1000)
    assert len(after) == len(there)
    assert [run.data.metrics["score"] for run in after if run.info.run_name == changed.loc[row, "key"]] == [0.125]
