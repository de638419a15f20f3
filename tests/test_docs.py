"""The README does what it says: its code is installed and run, its tables name what exists."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import bench
from bench import backbones, datasets, strategies
from bench.api import Results
from bench.suite.load import load_suite
from tests.analysis.synthetic import make
from tests.commands.test_surface import SURFACE

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOUSE = (ROOT / "bench" / "README.md").read_text(encoding="utf-8")


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def test_snippets_are_short() -> None:
    for text in blocks("python", README + HOUSE):
        assert sum(bool(line.strip()) for line in text.splitlines()) < 20


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The modules that bench/README.md shows, installed as a package would install them."""
    folder = tmp_path_factory.mktemp("package")
    for text in (one for one in blocks("python", HOUSE) if one.startswith("# ")):
        name = text.partition("\n")[0].removeprefix("# ")
        (folder / name).write_text(text)
    info = folder / "mine-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: mine\nVersion: 1.0\n")
    (toml,) = blocks("toml", HOUSE)
    points = toml.replace('[project.entry-points."', "[").replace('"]', "]").replace('"', "")
    (info / "entry_points.txt").write_text(points)
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    images = (rng.integers(0, 60, (60, 16, 16, 3)) + 60 * labels[:, None, None, None]).astype(np.uint8)
    np.savez(folder / "mine.npz", x_train=images, y_train=labels, x_test=images[:30], y_test=labels[:30])
    return folder


def test_what_the_page_of_the_house_adds_runs(package: Path) -> None:
    suite = package / "added.yaml"
    suite.write_text(
        f"""
name: added
datasets: [{{name: mine, labels_per_class: 10, options: {{path: "{package / 'mine.npz'}"}}}}]
backbones: [thin_resnet]
strategies: [scratch, {{train_ends: {{units: 3}}}}]
training: {{steps: 30, batch_size: 10}}
engine: {{precision: fp32}}  # images this small shrink to one pixel, where oneDNN with AMX gives NaN gradients in bf16
search: {{trials: 2, sampler: grid, lr: [0.01, 0.1]}}
repeats: 2
"""
    )
    command = [sys.executable, "-m", "bench", "run", str(suite), "--json", "--workers", "1", "--gpus", "0"]
    where = ["--results", str(package / "results"), "--reports", str(package / "reports")]
    path = os.pathsep.join([str(package), str(ROOT)])
    done = subprocess.run(
        [*command, *where], capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    finals = json.loads(done.stdout)["finals"]
    assert {row["strategy"] for row in finals} == {"scratch", "train_ends(units=3)"}
    assert all(row["status"] == "ok" for row in finals)
    # The classes differ in brightness, so whoever trains at all tells them apart.
    assert max(row["score"] for row in finals if row["strategy"] == "scratch") > 0.8
    trained = {row["strategy"]: row["trainable_params"] / row["total_params"] for row in finals}
    assert trained["scratch"] == 1
    assert trained["train_ends(units=3)"] < 1
    assert (package / "reports" / "added.html").is_file()


def test_the_suite_in_the_readme_loads(tmp_path: Path) -> None:
    path = tmp_path / "my_suite.yaml"
    (text,) = (block for block in blocks("yaml") if block.startswith("name:"))
    path.write_text(text)
    suite = load_suite(path).suite
    assert suite.repeats == 5
    assert all(strategy.name == "recipe" or strategies.find(strategy.name) for strategy in suite.strategies)


def test_every_built_in_name_is_documented() -> None:
    pages = README + (ROOT / "bench" / "datasets" / "README.md").read_text()
    pages += (ROOT / "bench" / "backbones" / "README.md").read_text()
    names = [*datasets.DATASETS, *backbones.BACKBONES]
    assert [name for name in names if f"`{name}" not in pages and f"name: {name}" not in pages] == []


def test_every_strategy_has_a_row_in_the_page_of_strategies() -> None:
    page = (ROOT / "bench" / "strategies" / "README.md").read_text()
    assert [name for name in strategies.STRATEGIES if f"\n| `{name}` |" not in page] == []


def test_links_lead_somewhere() -> None:
    pages = [page for page in ROOT.rglob("README.md") if not {".tox", ".venv", "shipped"} & set(page.parts)]
    assert len(pages) > 12
    for page in pages:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)}: {target}"


def test_every_command_has_a_row() -> None:
    page = (ROOT / "bench" / "commands" / "README.md").read_text(encoding="utf-8")
    assert [name for name in SURFACE if f"\n| `python -m bench {name}" not in page] == []


def test_the_snippet_of_results_runs(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On made-up results; `tests/test_api.py` runs a suite so."""
    (text,) = (one for one in blocks("python") if one.startswith("import bench\n"))
    asked = []

    def answering(name):
        return lambda *of, **how: asked.append((name, of, how)) or Results(make())

    for name in ("run", "load"):
        monkeypatch.setattr(bench, name, answering(name), raising=False)
    exec(text, {"__name__": "__main__"})
    assert asked == [("run", ("quickstart",), {"reports": "reports"}), ("load", ("quickstart",), {})]
    printed = capsys.readouterr().out
    assert "strategy" in printed
    assert "near" in printed
