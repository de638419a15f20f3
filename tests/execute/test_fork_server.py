"""Questions to forks of the server, and what is there for a worker when it starts."""

import os
import sys

import pytest

from bench import fork_server
from bench.errors import BenchError
from bench.execute import ingest

# Dear to import: each would cost every worker again what it costs the server once.
NEEDED = {"torch._dynamo", "torch.optim", "torchvision", "timm.models", "optuna.samplers", "bench.execute.worker"}
UNUSED = {"pandas", "sklearn", "matplotlib", "datasets", "h5py"}


def imported(names):
    return names & set(sys.modules)


def place(variable):
    return os.getcwd(), os.environ.get(variable)  # noqa: PTH109  as the kernel says


def fail(error):
    raise error


def test_workers_find_all_they_need_imported_and_no_more():
    assert fork_server.ask("looking", imported, NEEDED | UNUSED) == NEEDED


def test_a_fork_is_where_the_one_who_asks_is_now(tmp_path, monkeypatch):
    fork_server.ask("starting", len, "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_DATA", "here")
    assert fork_server.ask("looking", place, "BENCH_DATA") == (str(tmp_path), "here")


@pytest.mark.parametrize(("function", "question", "told"), [
    (fail, BenchError("dataset x: no such file"), "dataset x: no such file"),
    (fail, ModuleNotFoundError("no torch"), "asking failed: ModuleNotFoundError: no torch"),
    (os._exit, 9, "asking failed: its process ended with code 9"),
])  # fmt: skip
def test_what_goes_wrong_in_a_fork_is_told_in_one_line(function, question, told):
    with pytest.raises(BenchError) as caught:
        fork_server.ask("asking", function, question)
    assert str(caught.value) == told


def test_a_server_that_cannot_start_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(fork_server, "fork", lambda *_: fail(EOFError()))
    with pytest.raises(BenchError, match="^decoding data sets failed: the server of forks ended; it said why above$"):
        fork_server.ask("decoding data sets", ingest._decode, ([], tmp_path))
