"""What a newcomer types first: the version, the variables that count, a shell that completes."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import bench as package
from bench.cli import ENVIRONMENT

SOURCE = Path(package.__file__).parent


@pytest.mark.parametrize("flag", ["--version", "-V"])
def test_the_version(bench, flag):
    said = bench(flag)
    assert (said.code, said.out) == (0, f"transfer-bench {package.__version__}\n")


def test_the_help_has_every_variable_that_the_code_reads_and_no_other():
    read = re.compile(r"""environ(?:\.get\(|\[)["']([A-Z_]+)["']|["']([A-Z_]+)["'] (?:not )?in os\.environ""")
    found = {a or b for file in SOURCE.rglob("*.py") for a, b in read.findall(file.read_text())}
    # Read by another way: constants of places.py, fetching's loop.
    found |= {"BENCH_DATA", "BENCH_CACHE", "HTTPS_PROXY", "ALL_PROXY"}
    assert set(re.findall(r"\b[A-Z]+_?[A-Z_]*[A-Z]\b", ENVIRONMENT)) == found - {"_TRANSFER_BENCH_COMPLETE"}


def test_the_help_ends_with_them(bench):
    assert "BENCH_DATA" in bench("--help").out


def test_bash_completes(tmp_path, bench):
    """The script itself, in a real bash; the command beside it stands where an installation puts its own."""
    script = tmp_path / "script"
    script.write_text(bench("completion", "bash").out)
    command = tmp_path / "transfer-bench"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m bench "$@"\n')
    command.chmod(0o755)
    asked = (f". {script}; COMP_WORDS=(transfer-bench list stra); COMP_CWORD=2; "
             "_transfer_bench_completion transfer-bench; echo ${COMPREPLY[@]}")  # fmt: skip
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(SOURCE.parent)}
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=os.environ | path)
    assert done.stdout == "strategies\n", done.stderr


@pytest.mark.parametrize("shell", ["zsh", "fish"])
def test_other_shells_get_a_script_and_the_line_that_installs_it(bench, shell):
    said = bench("completion", shell)
    assert f"completion {shell} >" in said.err
    assert f"complete_{shell}" in said.out
