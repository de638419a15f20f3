"""Annotations that obey GitHub's limits and that no name can break out of; summaries that fit."""

import html
import re
from pathlib import Path

import pytest

from bench.gate.outputs import github
from bench.gate.outputs.github import annotations, append_summary, escaped_data, escaped_property, markdown, summary
from bench.gate.verdict import GateResult, Verdict
from tests.gate.made import (
    ABSENT,
    EVERY,
    HOSTILE,
    MEAN,
    OPEN,
    OTHER,
    REGRESSED,
    SAME,
    SLOWER,
    STEADY,
    WRONG,
    cell,
    compared,
    gate,
    hostile,
    many,
)  # fmt: skip

COMMAND = re.compile(r"::(error|warning) title=([^:,\r\n]*)::([^\r\n]*)")


def kinds(result: GateResult) -> list[str]:
    found = [COMMAND.fullmatch(line) for line in annotations(result)]
    assert all(found)
    return [match[1] for match in found if match]


def test_escapes_of_the_toolkit() -> None:
    assert escaped_data("100%\r\n::x, y: z") == "100%25%0D%0A::x, y: z"
    assert escaped_property("100%\r\n::x, y") == "100%25%0D%0A%3A%3Ax%2C y"
    assert escaped_property("%0A") == "%250A"


@pytest.mark.parametrize(("result", "expected"), [
    (gate(STEADY, SAME, OPEN), []),
    (gate(STEADY, mean=MEAN), ["error"]),
    (gate(REGRESSED, ABSENT, STEADY), ["error", "error"]),
    (gate(STEADY, OTHER, WRONG), ["error", "warning"]),
    (gate(STEADY, SAME, OPEN, STEADY, OTHER, OTHER), ["error", "warning"]),
    (gate(OPEN, fail_on=("inconclusive",)), ["error"]),
    (gate(STEADY, STEADY, REGRESSED, ABSENT, fail_on=()), ["warning", "warning"]),
    (gate(STEADY, must_see=1.0), ["error"]),
    (gate(STEADY, STEADY, STEADY, OPEN, must_see=1.5), ["warning"]),
    (gate(STEADY, costs=(SLOWER,)), ["error"]),
    (gate(OTHER), ["error", "warning"]),
    (gate(), ["error"]),
])  # fmt: skip
def test_kinds(result: GateResult, expected: list[str]) -> None:
    assert kinds(result) == expected


@pytest.mark.parametrize(("count", "lines"), [(9, 9), (10, 10), (500, 10)])
def test_no_more_than_ten_are_shown_so_the_tenth_counts(count: int, lines: int) -> None:
    found = annotations(many(count))
    assert len(found) == lines
    assert ("and " in found[-1]) == (count > 9)
    if count > 9:
        assert f"::and {count - 9} more" in found[-1]


def test_the_worst_comes_first() -> None:
    assert f"{99:05d}" in annotations(many(100))[0]


def test_one_reason_is_one_warning() -> None:
    others = [Verdict(cell(f"s{i}"), "incomparable", "torch 2.16") for i in range(30)]
    (line,) = annotations(gate(*[STEADY] * 90, *others))
    assert line.startswith("::warning title=30 cells incomparable%3A torch 2.16::")
    assert line.endswith("s2 and 27 more")


def test_the_blind_gate_says_what_it_could_not_see() -> None:
    (line,) = annotations(gate(STEADY, STEADY, STEADY, OPEN, must_see=1.5))
    assert "blind: in 1 of 4 compared cells a drop of 1.5 points could have gone unseen" in line


def test_the_mean_of_all_is_said() -> None:
    (line,) = annotations(gate(STEADY, mean=MEAN))
    assert "mean of all 24 cells: regressed; from 90.00 %25 to 89.50 %25, change −0.50 points" in line
    assert "mean of all 24 cells" in summary(gate(STEADY, mean=MEAN))


def test_no_name_becomes_a_command() -> None:
    lines = annotations(hostile())
    assert len(lines) == 20  # both kinds are full
    for line in lines:
        assert COMMAND.fullmatch(line)
        assert line.isprintable()
    for i, text in enumerate(HOSTILE):  # each alone, as only ten are shown
        verdict = compared("regressed", -2.0, cell(text, HOSTILE[i - 1], HOSTILE[i - 2]), reason=text)
        (line,) = annotations(gate(verdict))
        assert COMMAND.fullmatch(line)


def rows(text: str) -> list[list[str]]:
    return [line.split("|")[1:-1] for line in text.splitlines() if line.startswith("|")]


def test_summary_has_what_the_reader_must_know() -> None:
    text = summary(gate(*EVERY, costs=(SLOWER,), notes=("The environment is another.",), must_see=1.5))
    assert text.startswith("### quickstart: gate: red — 2 regressed, 2 missing, 1 improved")
    for part in ("n = 5", "margin: 0.5 points", "1.9 points", "blind: in 1 of 6", "environment is another.", "ab12cd3"):
        assert part in text
    verdicts = [row[1].strip(" *").split(":")[0].strip("*") for row in rows(text.partition("<details>")[0])[2:]]
    assert verdicts == [
        "regressed", "regressed", "missing", "missing", "improved", "inconclusive", "incomparable", "new",
    ]  # fmt: skip
    assert "2 cells held" in text
    assert text.index("<details>") < text.index("equivalent |")
    assert "lora: seconds slower" in html.unescape(text)


def test_hostile_names_are_text() -> None:
    text = summary(hostile())
    assert {len(row) for row in rows(text)} == {8}
    tags = set(re.findall(r"<[^>]*>", text))
    assert tags == {"<details>", "<summary>", "</summary>", "</details>"}
    assert "`" not in text
    assert "](" not in text
    assert all(c.isprintable() or c in "\n\u2068\u2069" for c in text)
    for raw in ("<script>alert(1)</script>", "| a | `b` | **c** [d](e) <!--", "a::error title=x::y"):
        assert raw not in text
        assert raw in html.unescape(text)


def test_markdown_is_the_same_text() -> None:
    for raw in ("freeze(upto=1)", "_a_ *b* ~c~ $d$ @e #1 \\| http://x", "<b>&amp;"):
        assert html.unescape(markdown(raw)) == raw
        assert not set("*_~$@#|<>`") & set(re.sub(r"&#\d+;", "", markdown(raw)))


@pytest.mark.parametrize("word", ["regressed", "equivalent"])
def test_summary_stays_below_the_limit_and_counts_what_it_leaves_out(word: str) -> None:
    text = summary(many(9_000, word, 300))  # type: ignore[arg-type]
    assert 600_000 < len(text.encode()) < 900_000
    shown = len(rows(text)) - 2
    assert f"- {9_000 - shown:,} rows left out" in text
    assert text.count("<details>") == text.count("</details>") == (word == "equivalent")


def test_summary_of_many_notes_and_facts() -> None:
    long = {f"{i}<": "<" * 5_000 for i in range(500)}
    text = summary(gate(STEADY, notes=tuple(long.values()), facts=long))
    assert len(text.encode()) < 900_000
    assert "480 notes left out" in text
    assert "480 facts left out" in text
    assert "equivalent" in text


def test_append(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "summary.md"
    append_summary(path, "### one ±\n")
    append_summary(path, "### two\n")
    assert path.read_text(encoding="utf-8") == "### one ±\n### two\n"
    monkeypatch.setattr(github, "FILE_BYTES", 100)
    append_summary(path, "### three\n" + "x" * 200)
    text = path.read_text(encoding="utf-8")
    assert "### three\n\nThe rest of this summary (210 bytes) was left out" in text
    assert "xx" not in text


def test_same_text_twice() -> None:
    assert summary(hostile()) == summary(hostile())
    assert annotations(hostile()) == annotations(hostile())
