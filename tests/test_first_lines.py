"""The two commands that README.md begins with, as they stand there, in a fresh clone and environment. An hour."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def commands():
    """Lines of README.md that install something and then do something with it."""
    lines = [line.strip().strip("`$ ") for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line.startswith("pip install ") and " && " in line]


@pytest.mark.slow
def test_the_first_lines_run_in_a_fresh_clone(tmp_path):
    run, check = commands()[:2]
    assert run.endswith("run quickstart")
    assert check.endswith("tox")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("TOX", "PYTEST", "VIRTUAL_ENV"))}
    for name, command in (("run", run), ("check", check)):
        clone, home = tmp_path / name, tmp_path / f"{name}-venv"
        subprocess.run(["git", "clone", "-q", str(ROOT), str(clone)], check=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        places = {**kept, "PATH": f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"}
        done = subprocess.run(["bash", "-c", command], cwd=clone, env=places, capture_output=True, text=True,
                              check=False)  # fmt: skip
        assert done.returncode == 0, (command, done.stdout[-3000:], done.stderr[-3000:])
    assert (tmp_path / "run" / "reports" / "quickstart.html").is_file()
