"""Benchmarks run on demand only: `tox -e bench`. See README.md.

Nothing heavy is imported here: the ordinary test run reads this file too.
"""

from pathlib import Path

import pytest

HERE = Path(__file__).parent


def pytest_ignore_collect(collection_path, config):
    """Not part of the test run."""
    return None if config.getoption("benchmark_only", default=False) else True


def pytest_collection_modifyitems(items):
    from tests.benchmarks.arms import ReplayClock

    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.benchmark(timer=ReplayClock()))


@pytest.fixture(scope="session", autouse=True)
def machine():
    """All cores (or BENCH_THREADS), and arithmetic and memory as in a worker."""
    import gc

    import torch

    from bench.engine.train import precision
    from tests.benchmarks.sizes import THREADS

    torch.set_num_threads(THREADS)
    precision.set_explicitly()
    gc.freeze()
    yield
    gc.unfreeze()  # else libraries complain of leaks at the end


@pytest.fixture(autouse=True)
def _no_waiting_for_the_disk():
    """Instead of the one for all tests: here it is waited for, as people do."""


@pytest.fixture(autouse=True)
def _counted_once():
    """Instead of the one for all tests."""


@pytest.fixture
def race(benchmark, request):
    from tests.benchmarks.arms import Race

    reporter = request.config.pluginmanager.get_plugin("terminalreporter")
    capture = request.config.pluginmanager.get_plugin("capturemanager")

    def say(line):
        with capture.global_and_fixture_disabled():
            reporter.ensure_newline()
            reporter.write_line(line)

    return Race(benchmark, request.node.get_closest_marker("benchmark").kwargs["timer"], say)


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """Weights, data and contexts for all benchmarks of the session."""
    from tests.benchmarks.workshop import Workshop

    return Workshop(tmp_path_factory.mktemp("bench"))
