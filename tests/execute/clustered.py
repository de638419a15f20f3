"""Ray clusters on this machine whose nodes share nothing but the machine, and runs of `bench` on them."""

import contextlib
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from tests.execute.running import REPOSITORY

MEMORY = 80 << 20  # bytes of a node's object store; Ray takes no less


@dataclass
class Nodes:
    cluster: object  # ray.cluster_utils.Cluster
    folder: Path
    cpus: int
    added: dict = field(default_factory=dict)  # node -> its folder; all but the head, which the driver hangs on

    @property
    def address(self):
        return self.cluster.address

    def how(self):
        place = self.folder / f"node-{len(list(self.folder.glob('node-*')))}"
        (place / "nothing").mkdir(parents=True)
        own = {"BENCH_NODE": str(place), "BENCH_DATA": str(place / "nothing"), "BENCH_CACHE": str(place / "nowhere")}
        return {"num_cpus": self.cpus, "object_store_memory": MEMORY, "env_vars": own}

    def add(self):
        for is_last in (False, False, True):  # Ray gives a node half a minute to start; the machine may be busy
            try:
                how = self.how()
                self.added[self.cluster.add_node(**how)] = Path(how["env_vars"]["BENCH_NODE"])
                return
            except Exception:  # its own
                if is_last:
                    raise

    def kill(self, node):
        """As a machine whose power fails."""
        self.cluster.remove_node(node, allow_graceful=False)
        del self.added[node]

    def at_work(self):
        """Those that are at a job this moment: it is locked there."""
        return [node for node, place in self.added.items() if any(place.glob("work/*/*/locks/*.lock"))]


@contextlib.contextmanager
def clustered(folder, num, cpus=1):
    """`num` nodes, a head among them."""
    from ray.cluster_utils import Cluster

    before = dict(os.environ)
    os.environ.update(environment(folder))  # what Ray's processes inherit
    nodes = Nodes(Cluster(), folder, cpus)
    try:
        nodes.cluster.add_node(**nodes.how(), include_dashboard=False)
        for _ in range(num - 1):
            nodes.add()
        yield nodes
    finally:
        nodes.cluster.shutdown()
        os.environ.clear()
        os.environ.update(before)


def environment(folder):
    return {"PYTHONPATH": str(REPOSITORY), "XDG_CACHE_HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1",
            "CUDA_VISIBLE_DEVICES": "", "RAY_worker_niceness": "0", "COLUMNS": "100"}  # fmt: skip


def started(folder, place, *arguments):
    """`bench run` of `folder`'s suite, with its records and reports in `place`."""
    place.mkdir(parents=True, exist_ok=True)
    where = ("--results", place / "results", "--reports", place / "reports", "--json")
    command = [sys.executable, "-m", "bench", "run", folder / "suite.yaml", *where, *arguments]
    path = place / f"stderr{len(list(place.glob('stderr*'))) or ''}"  # several may run at once
    with path.open("w") as said, (place / "stdout").open("w") as printed:
        driver = subprocess.Popen(
            [str(part) for part in command], stdout=printed, stderr=said, cwd=folder,
            env={**os.environ, **environment(folder), "BENCH_DATA": str(folder / "home")},
        )  # fmt: skip
    driver.said = path
    return driver


def on(nodes, *arguments):
    return ("--executor", "ray", "--ray-address", nodes.address, *arguments)
