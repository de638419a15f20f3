"""All commands and flags. A change here is a change for everybody who has a script."""

import typer

from bench.cli import app

SURFACE = {
    "run": "SUITE --set --filter --dry-run --shard --budget --rerun --offline --stand-in --data --gpus --workers "
    "--threads --timeout --executor --ray-address --max-runs --results --reports --cache --json",
    "plan": "SUITE --set --filter --data --results --json",
    "slurm": "SUITE --tasks --cap --gpus-per-task --cpus-per-task --time --set --filter --offline --data --max-runs "
    "--results --reports --cache",
    "fetch": "SUITE --set --data --results",
    "list": "WHAT [NAME] --timm --results --json",
    "init": "DATA --output --force",
    "status": "SUITE --results --json",
    "show": "KEY --results --json",
    "report": "[SUITE] --results --reports --figures --json",
    "winner": "SUITE --task --strategy --backbone --repeat --output --out --data --results --json",
    "export": "SUITE --to --output --uri --results --json",
    "compare": "A [B] --results-b --margin --results --reports --json",
    "splits export": "SUITE DIR --to --set --data --results --json",
    "splits import": "SUITE FILE... --dataset --data --results --json",
    "schema": "--markdown",
    "completion": "SHELL",
    "doctor": "--results --json",
    "gate": "SUITE --baseline --method --margin --must-see --fail-on --across-environments --reuse --fresh --timing "
    "--benchmarks --history --keep --junit --github --set --offline --data --gpus --workers --threads --timeout "
    "--results --reports --verbose --json",
    "baseline accept": "SUITE --baseline --allow --reuse --set --offline --data --gpus --workers --threads --timeout "
    "--results --reports",
    "baseline history": "NAME --history --results --reports --json",
}


def test_commands_and_flags():
    found = {}
    commands = typer.main.get_command(app).commands
    for group in ("baseline", "splits"):
        commands |= {f"{group} {name}": one for name, one in commands.pop(group).commands.items()}
    for name, command in commands.items():
        words = [p.metavar if p.param_type_name == "argument" else " ".join(p.opts) for p in command.params]
        found[name] = " ".join(word for word in words if "--help" not in word)
    assert found == SURFACE


def test_the_help_has_every_command_and_the_suite_to_start_with(bench):
    said = bench("--help")
    assert said.code == 0
    assert all(f" {name.partition(' ')[0]} " in said.out for name in SURFACE)
    assert "run quickstart" in " ".join(said.out.split())


def test_every_command_has_help(bench, monkeypatch):
    monkeypatch.setenv("COLUMNS", "160")  # narrower ones shorten long names of options
    for name, words in SURFACE.items():
        said = bench(*name.split(), "--help")
        assert said.code == 0, name
        assert all(word in said.out for word in words.split() if word.startswith("--")), name
