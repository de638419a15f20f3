"""Colours that can be seen, and told apart by readers with the common kinds of colour blindness, in both themes."""

import itertools
import re
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from bench.report import page
from bench.report.palette import NUM_COLORS, NUM_SHADES, SHAPES, budget_series, strategy_series

Vector = npt.NDArray[np.float64]
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
# Machado et al. 2009, severity 1, on linear RGB.
EYES = {
    "typical": np.eye(3),
    "deuteranopia": np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]]),
    "protanopia": np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]]),
}


def themes() -> dict[str, dict[str, str]]:
    css = (Path(page.__file__).parent / "templates" / "page.css").read_text(encoding="utf-8")
    light, rest = css.split("@media (prefers-color-scheme: dark)")
    dark, rest = rest.split("* { box-sizing", 1)
    printed = rest.split("@media print")[1]
    return {
        name: dict(re.findall(r"--(\w[\w-]*): (#\w{3,6});", text))
        for name, text in {"light": light, "dark": dark, "print": printed}.items()
    }


def linear(color: str) -> Vector:
    code = color[1:] if len(color) == 7 else "".join(2 * digit for digit in color[1:])
    c = np.array([int(code[i : i + 2], 16) for i in (0, 2, 4)]) / 255
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def contrast(first: str, second: str) -> float:
    low, high = sorted(float(TO_XYZ[1] @ linear(color)) for color in (first, second))
    return (high + 0.05) / (low + 0.05)


def lab(rgb: Vector) -> Vector:
    x = TO_XYZ @ np.clip(rgb, 0, 1) / np.array([0.9505, 1, 1.089])
    f = np.where(x > 0.008856, np.cbrt(x), 7.787 * x + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_contrast(theme: str) -> None:
    colors = themes()[theme]
    for name in [f"s{i}" for i in range(NUM_COLORS)] + [f"q{i}" for i in range(NUM_SHADES)] + ["ink"]:
        if name in colors or theme != "dark":
            assert contrast(colors[name], colors["panel"]) >= 3, name
    for name in ("ink", "muted", "good", "bad", "open", "accent"):
        assert contrast(colors[name], colors["panel"]) >= 4.5, name
    assert contrast(colors["tint-ink"], colors["tint"]) >= 4.5


@pytest.mark.parametrize("eye", EYES)
@pytest.mark.parametrize("theme", ["light", "dark", "print"])
def test_strategies_are_told_apart(theme: str, eye: str) -> None:
    colors = [lab(EYES[eye] @ linear(themes()[theme][f"s{i}"])) for i in range(NUM_COLORS)]
    assert min(float(np.linalg.norm(a - b)) for a, b in itertools.combinations(colors, 2)) > 15


def test_no_two_of_ninety_strategies_look_the_same() -> None:
    names = [f"s{i}" for i in range(90)]
    looks = {(series.color, series.marker) for series in strategy_series(names, set()).values()}
    assert len(looks) == 90


def test_baselines_are_hollow_and_dashed() -> None:
    series = strategy_series(["scratch", "probe"], {"scratch"})
    assert series["scratch"].hollow
    assert series["scratch"].dashes
    assert not series["probe"].hollow


def test_budgets_go_from_light_to_dark() -> None:
    assert [s.color for s in budget_series(["5", "20", "100"]).values()] == ["q0", "q2", "q5"]
    assert [s.color for s in budget_series(["5"]).values()] == ["q0"]
    assert len({s.marker for s in budget_series([str(i) for i in range(len(SHAPES))]).values()}) == len(SHAPES)
