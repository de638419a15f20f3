"""The page of many nights: steps found again in drawing and table, and a page that stays small and harmless."""

import dataclasses
import math
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.gate.series import Stretch
from bench.gate.verdict import CellName
from bench.report import write_trend
from bench.report.trend import NIGHTS, QUIET, STEPPED, NightPoint, NightSeries, build_trend
from tests.gate.made import HOSTILE
from tests.report.nights_made import NEW, OLD, lone, many, one
from tests.report.test_report import Page

CELL = CellName("digits", "5", "small", "linear_probe")


def panels(page: str) -> list[str]:
    return re.findall(r'<div class="panel">.*?</svg>', page, re.DOTALL)


def names(page: str) -> list[str]:
    return [re.findall(r"<h[34]><bdi>(.*?)</bdi>", panel)[0] for panel in panels(page)]


def text(series: Sequence[NightSeries]) -> str:
    return Page(build_trend("quickstart", series)).text


@pytest.fixture(scope="module")
def page() -> str:
    return build_trend("quickstart", many(120))


def test_steps_come_first_then_movement(page: str) -> None:
    assert names(page)[:3] == ["freeze(upto=0)", "freeze(upto=4)", "freeze(upto=1)"]
    rest = {f"freeze(upto={i})": series.movement for i, series in enumerate(many(120))}
    moved = [rest[name] for name in names(page)[3:]]
    assert len(moved) == 117
    assert moved == sorted(moved, reverse=True)


def test_most_of_many_cells_are_folded(page: str) -> None:
    shown = re.sub(r"<details>.*?</details>", "", page, flags=re.DOTALL)
    assert len(panels(shown)) == 3 + QUIET
    assert f"{117 - QUIET} more cells" in page
    stepped = build_trend("s", [one(dataclasses.replace(CELL, strategy=f"s{i}"), (0.9, 0.8), 5, i) for i in range(60)])
    assert len(panels(re.sub(r"<details>.*?</details>", "", stepped, flags=re.DOTALL))) == STEPPED
    assert len(panels(stepped)) == 60


def test_findings_and_the_table_of_steps(page: str) -> None:
    told = Page(page).text
    assert "3 cells of 120 changed level within 30 nights (2026-05-01 to 2026-05-30)." in told
    assert "freeze(upto=0) on digits0, 5 labels per class · small fell by 3.00 points between commit 000000ec0" in told
    assert "▼ fell 92.00 89.00 −3.00 2026-05-15 commit 000000ec0ffee 2026-05-16 commit 000000fc0ffee the same" in told
    assert "▲ rose 70.00 72.00 +2.00 2026-05-15 commit 000000ec0ffee 2026-05-16 commit 000000fc0ffee E1 → E2" in told
    assert "2 environments" in told
    assert NEW in told
    assert OLD in told


def test_every_night_says_its_commit() -> None:
    series = one(CELL, (0.9,), 10)
    (panel,) = panels(build_trend("s", [series]))
    assert panel.count("<circle") == 10
    for night in series.nights:
        assert f"{night.when} · commit {night.commit} · {100 * night.mean:.2f} %" in panel


def levels(panel: str) -> list[tuple[str, float, float, float]]:
    found = re.findall(r'color:var\(--(\w+)\).*?class="level" x1="([\d.]+)" x2="([\d.]+)" y1="([\d.]+)"', panel)
    return [(color, float(a), float(b), float(y)) for color, a, b, y in found]


def test_levels_stand_at_their_nights_and_heights() -> None:
    (panel,) = panels(build_trend("s", [one(CELL, (0.80, 0.84, 0.82), 10)]))
    first, second, third = levels(panel)
    assert [level[0] for level in (first, second, third)] == ["muted", "good", "bad"]
    assert first[3] > third[3] > second[3]  # y grows downwards
    assert third[3] == pytest.approx((first[3] + second[3]) / 2, abs=0.1)
    xs = [float(x) for x in re.findall(r'cx="([\d.]+)"', panel)]
    assert [first[1:3], second[1:3], third[1:3]] == [(xs[0], xs[9]), (xs[10], xs[19]), (xs[20], xs[29])]
    assert panel.count('class="mark"') == 2  # a shape where a step begins
    (baseline,) = re.findall(r'class="baseline".*?y1="([\d.]+)"', panel)
    assert float(baseline) == first[3]


def test_a_point_stands_where_its_mean_is() -> None:
    nights = [NightPoint(f"2026-01-0{i + 1}", "c", OLD, mean, mean, mean, 3) for i, mean in enumerate((0.8, 0.9, 0.85))]
    (panel,) = panels(build_trend("s", [NightSeries(CELL, tuple(nights))]))
    low, high, middle = (float(y) for y in re.findall(r'cy="([\d.]+)"', panel))
    assert middle == pytest.approx((low + high) / 2, abs=0.1)
    assert low > high
    assert 'class="baseline"' not in panel


def test_another_environment_is_a_line_with_its_versions() -> None:
    series = one(CELL, (0.80, 0.84), 10, moved=True)
    (panel,) = panels(build_trend("s", [series]))
    ((x, title),) = re.findall(r'class="change" x1="([\d.]+)".*?<title>(.*?)</title>', panel)
    xs = [float(value) for value in re.findall(r'cx="([\d.]+)"', panel)]
    assert xs[9] < float(x) < xs[10]
    assert title == f"from here on E2: {NEW}"
    assert 'class="change"' not in build_trend("s", [one(CELL, (0.80, 0.84), 10)])


def test_plain_tuples_are_segments_and_lone_nights_have_no_interval() -> None:
    series = one(CELL, (0.9, 0.8), 6)
    tuples = dataclasses.replace(series, segments=tuple(tuple(segment) for segment in series.segments))
    assert build_trend("s", [tuples]) == build_trend("s", [series])
    alone = build_trend("s", [lone()])
    assert alone.count("<circle") == 1
    assert 'class="spans" d=""' in alone
    assert not re.search(r"\bnan\b", alone.lower())


@pytest.mark.parametrize("series", [
    [], [NightSeries(CELL, ())], [NightSeries(CELL, (), (Stretch(0, 0, 0.5),), 0.5)],
    [NightSeries(CELL, (NightPoint("2026-05-01", "a", OLD, math.nan, math.nan, math.nan, 0),), (), math.nan)],
])  # fmt: skip
def test_nothing_to_draw(series: list[NightSeries]) -> None:
    found = Page(build_trend("quickstart", series))
    assert found.open == []
    assert ("No night has been measured yet." in found.text) == (not series or not series[0].nights)
    assert not re.search(r"\bnan\b", found.text.lower())


def test_only_the_latest_nights_are_drawn() -> None:
    page = build_trend("s", [one(CELL, (0.9, 0.8), 100)])
    assert page.count("<circle") == NIGHTS
    assert f"Only the latest {NIGHTS} nights" in Page(page).text
    assert len(levels(panels(page)[0])) == 2
    assert "Only the latest" not in text([one(CELL, (0.9,), NIGHTS)])


def test_size() -> None:
    assert len(build_trend("s", many(150, 90)).encode()) < 3_000_000


def test_hostile_names_are_text(tmp_path: Path) -> None:
    series = []
    for i, name in enumerate(HOSTILE):
        made = one(CellName(name, HOSTILE[i - 1], HOSTILE[i - 2], HOSTILE[i - 3]), (0.9, 0.8), 4, i, moved=True)
        nights = [dataclasses.replace(n, commit=name, environment=HOSTILE[j - 2]) for j, n in enumerate(made.nights)]
        nights[-1] = dataclasses.replace(nights[-1], when=f"9{name}")
        series.append(dataclasses.replace(made, nights=tuple(nights)))
    path = write_trend(" ".join(HOSTILE), series, tmp_path / "deep" / "trend.html")
    assert [file.name for file in path.parent.iterdir()] == ["trend.html"]
    page = path.read_text(encoding="utf-8")
    parsed = Page(page)
    assert sum(tag == "script" for tag, _ in parsed.tags) == 1
    assert not [a for _, a in parsed.tags if any(key.startswith("on") for key in a)]
    assert parsed.open == []
    assert "<script>alert(1)</script>" in parsed.text
    assert "日本語 🦊" in parsed.text
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_self_contained(page: str) -> None:
    parsed = Page(page)
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    used = {(a["href"] or "")[1:] for _, a in parsed.tags if (a.get("href") or "").startswith("#")}
    assert used <= set(ids)
    assert not re.search(r"https?:|@import|url\(", page)
    assert "default-src 'none'" in page


def test_same_bytes_twice(page: str) -> None:
    assert build_trend("quickstart", many(120)) == page
