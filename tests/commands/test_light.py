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
from bench.cli import main

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
    typed = [
        ["--help"], ["schema"], ["list", "strategies"], ["list", "datasets"], ["list", "backbones", "--timm", "vit*"],
        ["list", "suites"], ["list", "runs"], ["plan", "suites/small.yaml"], ["status", "small"], ["show", ran[0].key],
        ["run", "suites/small.yaml", "--dry-run"], ["report"],
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT],
        input="\n".join(map(json.dumps, typed)),
        env={**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    for (command, code, heavy), words in zip(json.loads(done.stdout), typed, strict=True):
        assert code == 0, words
        assert set(heavy) <= (REPORT if command == "report" else set()), words
