"""A Ray cluster: joined, looked at, refused where it cannot do what is asked. `ray_executor.py` puts workers on it."""

import logging
import socket
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import NodeDiedError, RayError, TaskUnschedulableError, WorkerCrashedError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from bench.errors import BenchError
from bench.execute.placement import Placement
from bench.execute.ray_node import Seen, look
from bench.planning.precision import Machine
from bench.provenance import describe

KNOCK = 10.0  # seconds for an answer
LOOK = 120.0  # seconds that a node may take to say what runs on it: its first process has to start
AGREE = ("code", "python")  # of the provenance, beside all libraries


@dataclass(frozen=True)
class Host:
    cpus: int
    gpus: int
    machines: tuple[Machine, Machine]  # its CPU, and its GPU where it has one


@dataclass(frozen=True)
class Cluster:
    address: str
    hosts: tuple[Host, ...]

    def machine(self, gpus: int | None) -> Machine:
        """What the arithmetic of all of them is good for. `gpus`: how many are to be used; None: as there are."""
        on_gpu = gpus != 0 and any(host.gpus for host in self.hosts)
        able = [host.machines[on_gpu] for host in self.hosts if host.gpus or not on_gpu]
        return next((machine for machine in able if not machine.has_bf16), able[0])

    def placement(self, workers: int | None, gpus: int | None, threads: int | None) -> Placement:
        """One worker for each GPU, or for each CPU where there is none; nodes count what Ray was started with."""
        present = sum(host.gpus for host in self.hosts)
        if gpus is not None and gpus > present:
            hint = "" if present else "; leave it out to use its CPUs"
            raise BenchError(f"--gpus {gpus}: {self._words()} has {present}{hint}")
        used = present if gpus is None else gpus
        if used:
            return self._on_gpus(used, workers or 1, threads)
        each = threads or 1
        room = sum(host.cpus // each for host in self.hosts)
        if (workers or 1) > room:
            raise BenchError(f"--workers {workers or 1} --threads {each}: {self._words()} has room for {room}")
        return Placement(("cpu",) * (workers or room), each)

    def _on_gpus(self, used: int, workers: int, threads: int | None) -> Placement:
        """`workers`: of each GPU, which share it."""
        with_gpus = [host for host in self.hosts if host.gpus]
        fitting = min(host.cpus // (host.gpus * workers) for host in with_gpus)
        if (threads or 1) > fitting:
            raise BenchError(f"--workers {workers} --threads {threads or 1} for each GPU: {self._words()} has a node "
                             "with too few CPUs for that")
        return Placement(("cuda:0",) * (used * workers), threads or fitting, num_gpus=used)  # each sees no other GPU

    def _words(self) -> str:
        cpus, gpus = sum(host.cpus for host in self.hosts), sum(host.gpus for host in self.hosts)
        return f"the cluster {self.address} ({len(self.hosts)} nodes, {cpus} CPUs, {gpus} GPUs)"


def join(address: str) -> Cluster:
    """Raises BenchError where there is none, or one that runs other code."""
    if not ray.is_initialized():
        try:
            _knock(address)
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
        except (OSError, RuntimeError, ValueError) as error:
            why = next(iter(str(error).splitlines()), type(error).__name__)
            raise BenchError(f"--ray-address {address}: no cluster to join: {why}") from error
    hosts = [Host(int(node["Resources"].get("CPU", 0)), int(node["Resources"].get("GPU", 0)), seen.machines)
             for node, seen in _seen([node for node in ray.nodes() if node["Alive"]])]  # fmt: skip
    if not hosts:
        raise BenchError(f"--ray-address {address}: no node of the cluster answers")
    return Cluster(address, tuple(hosts))


def _knock(address: str) -> None:
    """Ray itself tries for minutes where nobody answers. Raises OSError."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=KNOCK).close()


def _seen(nodes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[Mapping[str, Any], Seen]]:
    """What each of them says of itself. One that has gone, which Ray notices late, is none; one that runs other code
    is refused."""
    ask = ray.remote(look)
    asked = [ask.options(num_cpus=0, scheduling_strategy=NodeAffinitySchedulingStrategy(node["NodeID"], soft=False))
             .remote() for node in nodes]  # fmt: skip
    ours = describe()
    for node, call in zip(nodes, asked, strict=True):
        where = f"node {node['NodeManagerAddress']}"
        try:
            found: Seen = ray.get(call, timeout=LOOK)
        except (TaskUnschedulableError, NodeDiedError, WorkerCrashedError):
            continue
        except RayError as error:
            why = [line for line in str(error).splitlines() if line.strip()] or [type(error).__name__]
            raise BenchError(f"{where} cannot run this version of transfer-bench: {why[-1].strip()}") from error
        if differing := differences(ours, found.provenance):
            told = "; ".join(differing)
            raise BenchError(f"{where} ({found.host}) runs something else: {told}; install the same there")
        yield node, found


def differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Between two provenances, as far as numbers depend on it."""
    ours, theirs = ({**{name: one[name] for name in AGREE}, **one["libraries"]} for one in (here, there))
    names = {"code": "the code of bench"}
    return [f"{names.get(name, name)} is {theirs.get(name)}, here {ours.get(name)}"
            for name in dict.fromkeys((*ours, *theirs)) if ours.get(name) != theirs.get(name)]  # fmt: skip
