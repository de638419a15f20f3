"""False alarms with the noise of real trainings: an unchanged tree, measured again on other labels, splits, starts and
orders. 200 nights out of 40 repeats that were really trained. Minutes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bench.execute.roots import Roots
from bench.gate.compare import compare
from bench.gate.pairs import Rule
from bench.gate.tonight import tonight_of
from bench.planning.enumerate import make_plan
from bench.suite.load import load_suite

from .nights import accepted, night

ROOT = Path(__file__).parents[2]
REPEATS, NIGHTS, EACH = 40, 200, 5
SUITE = f"""\
name: real_nights
datasets:
  - {{name: near, labels_per_class: [5, 10]}}
  - {{name: digits, labels_per_class: [10]}}
backbones:
  - {{name: small_resnet, pretrain: {{dataset: source, epochs: 6}}, label: resnet}}
strategies: [linear_probe, ridge_probe, prototypes, head2toe, tune_last, full_finetune]
training: {{steps: 40, batch_size: 16, evaluations: 1}}
search: {{trials: 3, lr: [0.01, 0.3], validation: {{folds: 2}}, scope: cell}}
engine: {{precision: fp32}}
repeats: {REPEATS}
"""

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pool(tmp_path_factory):
    """Names of cells, and scores [cells, repeats] that trainings came to."""
    folder = tmp_path_factory.mktemp("nights")
    suite = folder / "real_nights.yaml"
    suite.write_text(SUITE)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-m", "bench", "run", str(suite)], cwd=folder, env=environment,
                          capture_output=True, text=True, check=False)  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    roots = Roots(folder / "results", "real_nights")
    plan = make_plan(load_suite(suite), folder / "results" / ".cache")
    cells = tonight_of(plan, roots.store.scan()[0]).cells
    table = np.array([[row.score for row in cell.rows] for cell in cells])
    assert table.shape == (18, REPEATS)
    return [cell.name for cell in cells], table


@pytest.mark.parametrize(("margin", "most"), [(0.0, 0.1), (0.25, 0.05)])
def test_an_unchanged_tree_on_other_seeds_stays_green(pool, margin, most):
    """Both nights draw repeats of their own, all cells the same ones, so that cells move together as they really do."""
    cells, table = pool
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(NIGHTS):
        order = rng.permutation(REPEATS)
        before, after = table[:, order[:EACH]], table[:, order[EACH : 2 * EACH]]
        result = compare(accepted(before, cells, num_test=500), night(after, cells, num_test=500), Rule(margin, 2.0))
        alarms += result.exit_code == 1
    print(f"margin {margin}: {alarms} alarms in {NIGHTS} nights of {len(cells)} cells")  # noqa: T201
    assert alarms <= most * NIGHTS


def test_the_noise_is_real(pool):
    """Repeats scatter, and cells of one task scatter together: else the test above would prove little."""
    _, table = pool
    assert 100 * np.median(table.std(axis=1, ddof=1)) > 0.5
    together = np.corrcoef(table[:6])
    assert together[np.triu_indices(6, 1)].mean() > 0.2
