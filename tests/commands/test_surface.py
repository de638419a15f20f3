"""All commands and flags. A change here is a change for everybody who has a script."""

import typer

from bench.cli import app

SURFACE = {
    "run": "SUITE --set --filter --dry-run --rerun --offline --stand-in --data --gpus --workers --threads --timeout "
    "--max-runs --results --reports --json",
    "plan": "SUITE --set --filter --data --results --json",
    "fetch": "SUITE --set --data --results",
    "list": "WHAT --timm --results --json",
    "status": "SUITE --results --json",
    "show": "KEY --results --json",
    "report": "[SUITE] --results --reports --json",
    "schema": "--markdown",
    "doctor": "--results --json",
}


def test_commands_and_flags():
    found = {}
    for name, command in typer.main.get_command(app).commands.items():
        words = [p.metavar if p.param_type_name == "argument" else " ".join(p.opts) for p in command.params]
        found[name] = " ".join(word for word in words if "--help" not in word)
    assert found == SURFACE


def test_the_help_has_every_command_and_the_suite_to_start_with(bench):
    said = bench("--help")
    assert said.code == 0
    assert all(f" {name} " in said.out for name in SURFACE)
    assert "suites/quickstart.yaml" in said.out


def test_every_command_has_help(bench):
    for name, words in SURFACE.items():
        said = bench(name, "--help")
        assert said.code == 0, name
        assert all(word in said.out for word in words.split() if word.startswith("--")), name
