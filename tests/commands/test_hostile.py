"""Names come from whoever wrote the suite: none moves the cursor, turns the text around, or is read as markup."""

import json
from pathlib import Path

import pytest

from bench.commands.suites import plan_from_file, remember

from .fabricate import fabricate

PLAIN = [
    "<script>alert(1)</script>",
    "[bold red]x[/bold red] [/]",
    "it's \"quoted\" `too` $HOME",
    "שלום",
]
ESCAPED = {
    "abc\u202egnp.exe": r"abc\u202egnp.exe",
    "\x1b]0;title\x07\x1b[2J": r"\x1b]0;title\x07\x1b[2J",
    "one\ntwo\rthree": r"one\ntwo\rthree",
}


@pytest.fixture
def hostile(place, folders):
    """A suite with all of them as strategies and one as a dataset, run with a failure."""
    recipes = [
        f"{{recipe: {{name: {json.dumps(name)}, phases: [{{rates: {{head: 1, rest: {number}}}}}]}}}}"
        for number, name in enumerate([*PLAIN, *ESCAPED])
    ]
    path = Path("suites/hostile.yaml")
    path.write_text(f"""\
name: hostile
description: {json.dumps("[red]" + "".join(ESCAPED))}
datasets: [{{name: digits, labels_per_class: 4, label: {json.dumps(next(iter(ESCAPED)))}}}]
backbones: [{{name: small_resnet}}]
strategies: [{", ".join(recipes)}]
training: {{steps: 2}}
search: {{scope: cell, trials: 1, validation: {{folds: 2}}}}
repeats: 1
""")
    plan = plan_from_file(path, (), folders)
    remember(plan, (), folders)
    failing = dict.fromkeys([cell.finals[0] for cell in plan.cells], "failed")
    fabricate(plan, folders.roots("hostile"), failing)
    return plan


def test_hostile_names(bench, hostile):
    file, key = "suites/hostile.yaml", hostile.cells[0].finals[0]
    said = {
        typed[0]: bench(*typed)
        for typed in (("plan", file), ("status", file), ("list", "runs"), ("show", key), ("report",),
                      ("run", file, "--gpus", "0"), ("list", "suites"))
    }  # fmt: skip
    for command, answer in said.items():
        assert answer.code in (0, 3), command
        assert all(line.isprintable() for line in (answer.out + answer.err).split("\n")), command
    for name in [*PLAIN, *ESCAPED.values()]:
        assert name in said["status"].out
        assert name[:8] in said["run"].out  # which folds
    assert r"abc\u202egnp.exe @ 4" in said["plan"].out


def test_programs_get_them_as_they_are(bench, hostile):
    status = bench("status", "hostile", "--json")
    assert status.out.isascii()
    found = {one["title"].split(" · ")[1] for one in status.json["went_wrong"]}
    assert found == {*PLAIN, *ESCAPED}
