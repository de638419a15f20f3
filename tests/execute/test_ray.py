"""A Ray cluster on this machine, whose nodes share nothing but the machine. Skipped where Ray is not installed."""

import dataclasses

import pytest

ray = pytest.importorskip("ray")

from bench.errors import BenchError  # noqa: E402
from bench.execute import ray_cluster  # noqa: E402
from bench.execute.ray_cluster import Cluster, Host, differences, join  # noqa: E402
from bench.planning.precision import Machine  # noqa: E402
from bench.provenance import describe  # noqa: E402
from tests.execute.clustered import clustered, on, started  # noqa: E402
from tests.execute.running import TINY, TRAININGS, numbers  # noqa: E402

CPU, NEW, OLD = Machine("CPU", False, ""), Machine("GPU", True, "new"), Machine("GPU", False, "old")
CPUS = Cluster("here:1", (Host(4, 0, (CPU, OLD)), Host(3, 0, (CPU, OLD))))
GPUS = Cluster("here:1", (Host(8, 2, (CPU, NEW)), Host(4, 1, (CPU, OLD)), Host(64, 0, (CPU, OLD))))


def test_a_cluster_makes_the_records_that_one_machine_makes(tmp_path, unbroken):
    (tmp_path / "home").mkdir()
    (tmp_path / "suite.yaml").write_text(TINY)
    place = tmp_path / "place"
    with clustered(tmp_path, 2) as nodes:
        driver = started(tmp_path, place, *on(nodes))
        assert driver.wait(300) == 0, (place / "stderr").read_text()
    assert len(numbers(place)) == TRAININGS
    assert numbers(place) == numbers(unbroken[0])
    assert sheets(place) == sheets(unbroken[0]) != {}
    assert all(list(node.glob("cache/*/about.json")) for node in tmp_path.glob("node-*")), "both have worked"
    assert not list(tmp_path.glob("node-*/work/*/")), "nothing of this run is left but what others can use"


def sheets(place):
    return {path.name: path.read_bytes() for path in place.glob("results/tiny/samples/*")}


@pytest.mark.parametrize(("cluster", "asked", "devices", "threads"), [
    (CPUS, (None, None, None), ("cpu",) * 7, 1),
    (CPUS, (2, None, None), ("cpu",) * 2, 1),
    (CPUS, (None, None, 2), ("cpu",) * 3, 2),
    (GPUS, (None, None, None), ("cuda:0",) * 3, 4),
    (GPUS, (2, 3, 1), ("cuda:0",) * 6, 1),
    (GPUS, (None, 0, None), ("cpu",) * 76, 1),
])  # fmt: skip
def test_what_is_asked_for_finds_its_place(cluster, asked, devices, threads):
    found = cluster.placement(*asked)
    assert (found.devices, found.threads) == (devices, threads)


@pytest.mark.parametrize(("cluster", "asked", "told"), [
    (CPUS, (None, 1, None), "--gpus 1: the cluster here:1 (2 nodes, 7 CPUs, 0 GPUs) has 0; leave it out to use its "
                            "CPUs"),
    (GPUS, (None, 4, None), "--gpus 4: the cluster here:1 (3 nodes, 76 CPUs, 3 GPUs) has 3"),
    (CPUS, (8, None, None), "--workers 8 --threads 1: the cluster here:1 (2 nodes, 7 CPUs, 0 GPUs) has room for 7"),
    (CPUS, (None, None, 5), "--workers 1 --threads 5: the cluster here:1 (2 nodes, 7 CPUs, 0 GPUs) has room for 0"),
    (GPUS, (None, None, 5), "--workers 1 --threads 5 for each GPU: the cluster here:1 (3 nodes, 76 CPUs, 3 GPUs) has "
                            "a node with too few CPUs for that"),
])  # fmt: skip
def test_what_finds_no_place_is_refused(cluster, asked, told):
    with pytest.raises(BenchError) as caught:
        cluster.placement(*asked)
    assert str(caught.value) == told


def test_the_arithmetic_is_what_every_node_can_do():
    assert GPUS.machine(None) is OLD
    assert dataclasses.replace(GPUS, hosts=GPUS.hosts[:1]).machine(None) is NEW
    assert GPUS.machine(0) is CPU


def test_nodes_that_run_other_code_are_told_apart():
    here = describe()
    there = {**here, "code": "other", "libraries": {**here["libraries"], "torch": "1.0"}, "cores": 99}
    assert differences(here, {**here, "cores": 99, "commit": None}) == []
    assert differences(here, there) == [
        f"the code of bench is other, here {here['code']}", f"torch is 1.0, here {here['libraries']['torch']}",
    ]  # fmt: skip


@pytest.mark.parametrize(("address", "told"), [("127.0.0.1:1", "Connection refused"), ("nonsense", "nonsense")])
def test_where_no_cluster_answers_one_line_says_so(address, told, monkeypatch):
    monkeypatch.setattr(ray_cluster, "KNOCK", 1.0)
    with pytest.raises(BenchError, match=f"--ray-address {address}: no cluster to join: .*{told}"):
        join(address)
