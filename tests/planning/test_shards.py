"""How a plan comes apart for several processes."""

import os
import subprocess
import sys

import pytest

from bench.errors import BenchError
from bench.planning.shards import part_of, pieces_of, read_shard
from bench.planning.work import Estimator

SUITE = """
name: s
datasets: [{name: tiny, labels_per_class: [2, 4, 8]}]
backbones: [{name: toy_conv, pretrain: {dataset: tiny, options: {shade: 1}, epochs: 1}}]
strategies: [scratch, linear_probe, full_finetune, {freeze: {upto: 0}}, {freeze: {upto: 2}}, ridge_probe]
pitfalls: [rate_30_times]
repeats: 3
"""


@pytest.fixture
def whole(plan):
    return plan(SUITE)


@pytest.mark.parametrize("count", [1, 3, 5, 40])
def test_the_parts_are_the_whole_and_share_nothing_but_pretrainings(whole, count):
    parts = [part_of(whole, read_shard(f"{number}/{count}")) for number in range(1, count + 1)]
    own = [{key for key, job in part.jobs.items() if job.kind != "pretrain"} for part in parts]
    assert sum(len(keys) for keys in own) == len(set().union(*own))
    assert set().union(*(part.jobs for part in parts)) == set(whole.jobs)
    assert sorted(map(id, whole.cells)) == sorted(id(cell) for part in parts for cell in part.cells)
    assert all(set(job.needs) <= part.jobs.keys() for part in parts for job in part.jobs.values())
    assert whole.mistaken == frozenset().union(*(part.mistaken for part in parts))


def test_parts_are_of_equal_work(whole):
    work = Estimator.of(whole).work

    def load(part):
        return sum(work(job) * len(job.record_keys) for job in part.jobs.values() if job.kind != "pretrain")

    loads = [load(part_of(whole, read_shard(f"{number}/4"))) for number in range(1, 5)]
    assert max(loads) < 1.2 * sum(loads) / 4


def test_a_piece_holds_what_shares_a_search(whole):
    """A mistake in the final alone, and freeze(upto=0), which is full_finetune."""
    pieces = [{cell.strategy for cell in cells} for cells in pieces_of(whole).values()]
    assert {"full_finetune", "freeze(upto=0)", "full_finetune [30 times the rate]"} <= set().union(
        *(names for names in pieces if "full_finetune" in names)
    )


def test_every_process_cuts_alike():
    """Whatever order Python gives its sets."""
    code = ("import bench; from bench.planning.shards import *; plan = bench.plan('quickstart'); "
            "print([sorted(part_of(plan, read_shard(f'{n}/7')).jobs) for n in range(1, 8)])")  # fmt: skip
    told = {subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed},
                           capture_output=True, text=True, check=True).stdout for seed in "12"}  # fmt: skip
    assert len(told) == 1


def test_shard_0_is_the_pretrainings(whole):
    assert {job.kind for job in part_of(whole, read_shard("0/3")).jobs.values()} == {"pretrain"}


@pytest.mark.parametrize("text", ["3", "4/3", "-1/3", "1/0", "0/0", "a/b", "1/3/5", ""])
def test_what_is_no_shard(text):
    with pytest.raises(BenchError, match="expected K/N"):
        read_shard(text)
