"""Colours and shapes. A series has both, so that no reader and no printer depends on colour.

Figures are drawn in sentinel colours, which `svg.py` replaces by CSS variables: one drawing for light, dark and print.
"""

from markupsafe import Markup

from bench.report.view import Look

NUM_COLORS = 10  # --s0 ... --s9 in page.css
NUM_SHADES = 6  # --q0 ... --q5: budgets, few labels to many

# The marker's name in matplotlib, and the same shape as an SVG path in a box from -5 to 5.
SHAPES: list[tuple[str, str]] = [
    ("o", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z"),
    ("s", "M-3.6-3.6h7.2v7.2h-7.2z"),
    ("^", "M0-4.4 4.4 3.8h-8.8z"),
    ("D", "M0-4.8 4.8 0 0 4.8-4.8 0z"),
    ("v", "M0 4.4 4.4-3.8h-8.8z"),
    ("P", "M-1.6-4.4h3.2v2.8h2.8v3.2h-2.8v2.8h-3.2v-2.8h-2.8v-3.2h2.8z"),
    ("<", "M-4.4 0 3.8-4.4v8.8z"),
    ("X", "M-4.2-2.1-2.1-4.2 0-2.1 2.1-4.2 4.2-2.1 2.1 0 4.2 2.1 2.1 4.2 0 2.1-2.1 4.2-4.2 2.1-2.1 0z"),
    (">", "M4.4 0-3.8-4.4v8.8z"),
]
SENTINELS: dict[str, str] = {
    "ink": "#010203",
    "muted": "#010204",
    "rule": "#010205",
    "panel": "#010206",
    **{f"s{i}": f"#0a0b{i:02x}" for i in range(NUM_COLORS)},
    **{f"q{i}": f"#0c0d{i:02x}" for i in range(NUM_SHADES)},
}


def strategy_series(names: list[str], baselines: set[str]) -> dict[str, Look]:
    """Baselines in ink, hollow and dashed; the others in colours. Ten colours and nine shapes repeat after ninety."""
    found: dict[str, Look] = {}
    count = 0
    for name in names:
        if name in baselines:
            found[name] = Look(name, "ink", len(found) % len(SHAPES) if baselines - {name} else 0, (4, 3), True)
        else:
            found[name] = Look(name, f"s{count % NUM_COLORS}", (count + 1) % len(SHAPES))
            count += 1
    return found


def budget_series(budgets: list[str]) -> dict[str, Look]:
    """Shades of one hue, in the order given: few labels first."""
    last = max(len(budgets) - 1, 1)
    return {
        name: Look(name, f"q{round(i / last * (NUM_SHADES - 1))}", i % len(SHAPES)) for i, name in enumerate(budgets)
    }


def symbols() -> Markup:
    """The shapes, defined once for the page: `swatch` uses them, and `features.py` their paths."""
    parts = [
        f'<symbol id="shape-{i}" viewBox="-6 -6 12 12"><path d="{path}"/></symbol>'
        for i, (_, path) in enumerate(SHAPES)
    ]
    return Markup(f'<svg width="0" height="0" aria-hidden="true" class="defs">{"".join(parts)}</svg>')


def swatch(series: Look) -> Markup:
    kind = "key hollow" if series.hollow else "key"
    return Markup(
        f'<svg class="{kind}" style="color:var(--{series.color})" aria-hidden="true">'
        f'<use href="#shape-{series.marker}"/></svg>'
    )
