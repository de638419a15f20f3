"""Commands that only look answer at once: they import none of the libraries that take seconds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import bench as package

HEAVY = ("torch", "torchvision", "timm", "optuna", "pandas", "scipy", "sklearn", "matplotlib")
REPORT = {"pandas", "scipy", "sklearn", "matplotlib"}  # what the report needs
SCRIPT = f"""
import contextlib, io, json, sys
from bench import fork_server
from bench.cli import main

def fork(*_):
    raise OSError("forks are out")

fork_server.fork = fork
found = []
for line in sys.stdin:
    sys.argv = ["bench", *json.loads(line)]
    with contextlib.redirect_stdout(io.StringIO()):
        try:
            main()
        except SystemExit as end:
            found.append([sys.argv[1], end.code, [name for name in {HEAVY} if name in sys.modules]])
print(json.dumps(found))
"""


def test_looking_is_light(place, ran):
    for command, code, heavy in after([
        ["--help"], ["schema"], ["list", "strategies"], ["list", "datasets"], ["list", "backbones", "--timm", "vit*"],
        ["list", "suites"], ["list", "runs"], ["plan", "suites/small.yaml"], ["status", "small"], ["show", ran[0].key],
        ["run", "suites/small.yaml", "--dry-run"], ["report"],
    ]):  # fmt: skip
        assert code == 0, command
        assert set(heavy) <= (REPORT if command == "report" else set()), command


def test_a_run_is_light_until_its_workers_start(place):
    """It plans, draws embedded images and compares them; what its table and report need comes when they do."""
    typed = ["run", "suites/small.yaml", "--results", "fresh", "--workers", "1"]
    assert after([typed], said="workers cannot be started: forks are out\n") == [["run", 3, []]]


def after(typed, said=""):
    """[command, exit code, what is imported] after each, one after the other in a process whose forks all fail."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        input="\n".join(map(json.dumps, typed)),
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == said
    return json.loads(done.stdout)
