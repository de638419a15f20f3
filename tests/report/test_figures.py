"""The figures: named axes, text and marks that can be read, what a mark says, and the same drawings as files."""

import dataclasses
import html
import math
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image

from bench.analysis.courses import mean_course
from bench.analysis.frame import SuiteResults
from bench.report import render
from bench.report.figures.lines import LinePoint
from bench.report.figures.ranks import ranks_panel
from bench.report.figures.similarity import mix_panel, similarity_panel
from bench.report.files import write_figures
from bench.report.palette import SENTINELS, strategy_series
from bench.report.sections.courses import courses_section
from bench.report.sections.learning import labels_section
from bench.report.sections.rates import rates_section
from bench.report.svg import TEXT, drawing
from bench.report.view import Figure, Panel, Section, Switch
from tests.analysis.synthetic import World, make

FEW = ("scratch", "linear_probe", "full_finetune")
SVG = "{http://www.w3.org/2000/svg}"


def course(row):
    """Three scores along the training, the last one the final score."""
    if row["status"] != "ok":
        return ()
    return ((100, 0.5 * row["score"]), (150, 0.75 * row["score"]), (200, row["score"]))


def with_courses(results: SuiteResults) -> SuiteResults:
    finals = results.finals.copy()
    finals["curve"] = pd.Series([course(row) for row in finals.to_dict("records")], dtype="object")
    return dataclasses.replace(results, finals=finals)


@pytest.fixture(scope="module")
def made() -> SuiteResults:
    return with_courses(make(World(datasets=("near", "digits"), strategies=FEW, gaps=False)))


@pytest.fixture(scope="module")
def page(made: SuiteResults) -> str:
    return render(made)


@pytest.fixture(scope="module")
def written(made: SuiteResults, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("figures")
    render(made, figures=folder)
    return folder


@pytest.fixture(scope="module")
def drawn(made: SuiteResults):
    """Every figure of a page, and those of sections that it lacks."""
    kept = []
    original = Panel.__init__

    def keep(self, title, detail, picture, about=""):
        original(self, title, detail, picture, about)
        kept.append(picture.figure)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Panel, "__init__", keep)
        render(made)
    looks = list(strategy_series(["scratch", "lora"], {"scratch"}).values())
    points = [(look, [LinePoint(0, 0.5), LinePoint(1, 0.8)]) for look in looks]
    with drawing():
        kept += [similarity_panel(points, 2, "a").figure, mix_panel(points, 2, "b").figure]
        kept.append(ranks_panel([(look, 1.5) for look in looks], [(0, 1)], "c").figure)
    return kept


def section(page: str, name: str) -> str:
    found = re.search(rf'<section id="{name}".*?</section>', page, re.DOTALL)
    return found[0] if found else ""


def words(text: str) -> str:
    return re.sub(r"\s+", " ", html.unescape(re.sub(r"<[^>]*>", " ", text)))


def test_both_axes_are_named(drawn) -> None:
    assert len(drawn) > 20
    for figure in drawn:
        for axes in figure.axes:
            assert axes.get_xlabel(), axes.get_ylabel()
            assert axes.get_ylabel(), axes.get_xlabel()


def test_text_and_marks_can_be_read(drawn) -> None:
    for figure in drawn:
        texts = [one for one in figure.findobj(lambda one: hasattr(one, "get_fontsize")) if one.get_text()]
        assert len(texts) >= 4
        assert min(one.get_fontsize() for one in texts) >= TEXT >= 12
        lines = [one for axes in figure.axes for one in axes.lines]
        sizes = [one.get_markersize() for one in lines if one.get_marker() not in ("", "None", None)]
        assert min(sizes, default=7) >= 7


def test_nothing_is_cut_at_the_edges_of_a_drawing(drawn) -> None:
    for figure in drawn:
        box = figure.get_tightbbox(FigureCanvasAgg(figure).get_renderer())
        width, height = figure.get_size_inches()
        about = [axes.get_xlabel() for axes in figure.axes]
        assert -6 / 72 < box.x0 < box.x1 < width + 6 / 72, about
        assert -1 / 72 < box.y0 < box.y1 < height + 1 / 72, about


def test_a_mark_says_strategy_value_interval_and_number(page: str, made: SuiteResults) -> None:
    said = re.findall(r"<title>(.*?)</title></use>", section(page, "labels"))
    assert len(said) == 2 * 3 * 3
    finals = made.finals
    cell = finals[(finals.dataset == "near") & (finals.budget == "5") & (finals.strategy == "linear_probe")]
    found = next(one for one in said if one.startswith("linear_probe, 5 labels per class"))
    pattern = rf"linear_probe, 5 labels per class: {100 * cell.score.mean():.1f} % \([\d.]+ to [\d.]+\), n = 3"
    assert re.fullmatch(pattern, found)


def test_what_a_mark_says_is_only_text(only) -> None:
    only(labels_section)
    names = {"linear_probe": '<b>"x"</b> &amp;\n#010203', "full_finetune": "日本語 🦊"}
    page = render(make(World(datasets=("near",), strategies=FEW, gaps=False, rename=names)))
    said = [html.unescape(one) for one in re.findall(r"<title>(.*?)</title></use>", section(page, "labels"))]
    assert any(one.startswith('<b>"x"</b> &amp; #010203, 5 labels') for one in said)
    assert any(one.startswith("日本語 🦊, 20 labels") for one in said)


def test_every_figure_is_written_as_svg_and_png(page: str, written: Path) -> None:
    names = {path.stem for path in written.iterdir()}
    assert len(names) == page.count('<div class="panel"')
    assert {path.suffix for path in written.iterdir()} == {".svg", ".png"}
    assert len(list(written.iterdir())) == 2 * len(names)
    assert {"quickstart-labels-2-digits", "quickstart-courses-1-near-5-labels-per-class"} <= names


def test_svg_files_stand_alone(written: Path) -> None:
    for path in written.glob("*.svg"):
        text = path.read_text(encoding="utf-8")
        root = ElementTree.fromstring(text)
        assert root.tag == f"{SVG}svg"
        assert root.find(f"{SVG}title").text
        assert "var(" not in text
        assert not any(sentinel in text for sentinel in SENTINELS.values())
        assert "told:" not in text
        assert "Verdana" in text
        assert "href=\"http" not in text


def test_files_have_title_and_legend(written: Path) -> None:
    root = ElementTree.fromstring((written / "quickstart-labels-2-digits.svg").read_text(encoding="utf-8"))
    assert root.find(f"{SVG}title").text == "Score against labels: digits"
    texts = {"".join(one.itertext()).strip() for one in root.iter(f"{SVG}text")}
    assert {"Score against labels", "digits", "labels per class", "test score, %", *FEW} <= texts


def test_png_files_are_drawn_in_the_page_s_light_colours(written: Path) -> None:
    sheet = Path("bench/report/templates/page.css").read_text(encoding="utf-8")
    blue, ink = (re.search(rf"--{name}: (#\w+)", sheet)[1] for name in ("s0", "ink"))
    for path in written.glob("*.png"):
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB"))
            assert image.width >= 2 * 300
        colors = {f"#{one:06x}" for one in np.unique(pixels @ np.array([1 << 16, 1 << 8, 1]))}
        assert "#ffffff" in colors
        assert ink in colors, path.name
        assert not colors & set(SENTINELS.values()), path.name
        assert 0.6 < (pixels == 255).all(axis=2).mean() < 0.995, path.name
        if "-labels-" in path.name:
            assert blue in colors


def test_same_results_same_files(made: SuiteResults, written: Path, only, tmp_path: Path) -> None:
    only(labels_section, rates_section)
    render(made, figures=tmp_path)
    assert len(list(tmp_path.iterdir())) > 8
    for one in tmp_path.iterdir():
        assert one.read_bytes() == (written / one.name).read_bytes(), one.name


def test_files_of_a_switch_are_written_too(tmp_path: Path) -> None:
    looks = list(strategy_series(["scratch", "lora"], {"scratch"}).values())
    with drawing():
        pictures = [ranks_panel([(look, 1.5) for look in looks], [], "c") for _ in range(2)]
        figures = [(name, Figure([Panel(name, "", one)], looks, "")) for name, one in zip("ab", pictures, strict=True)]
        write_figures([Section("one", "One", "", [Switch("one", "Choose", figures)])], "日本", tmp_path)
    assert {one.name for one in tmp_path.iterdir()} == {"one-1-a.svg", "one-1-a.png", "one-2-b.svg", "one-2-b.png"}


def test_courses_are_means_over_repeats(page: str, made: SuiteResults) -> None:
    found = section(page, "courses")
    finals = made.finals
    cell = finals[(finals.dataset == "near") & (finals.budget == "5") & (finals.strategy == "full_finetune")]
    assert f"full_finetune, 5 labels per class: {100 * cell.score.mean():.1f} %" in found
    assert found.count('<div class="panel"') == 3 * 6  # against steps, FLOPs and seconds
    assert "No rate, no step and no strategy was chosen by them" in words(found).replace("no rate", "No rate")


def test_courses_against_what_was_spent(made: SuiteResults) -> None:
    """A third and two thirds of the cost are spent after a third and two thirds of the steps."""
    rows = [row | {"curve": ((10, 0.2), (20, 0.4), (30, 0.5)), "flops": flops, "seconds": math.nan}
            for row, flops in zip(made.finals[made.finals.status == "ok"].to_dict("records"), (3e9, 6e9), strict=False)]
    course = mean_course(rows)
    assert course is not None
    assert course.against(course.flops) == [(1.5e9, 0.2), (3e9, 0.4), (4.5e9, 0.5)]
    assert math.isnan(course.seconds)
    longer = [rows[0], rows[1] | {"curve": (*rows[1]["curve"], (60, 0.6))}]  # its 6e9 are those of 60 steps
    course = mean_course(longer)
    assert course is not None
    assert course.scores[-1] == (30, 0.5)
    assert course.flops == (3e9 + 3e9) / 2


def test_an_axis_without_numbers_is_not_offered(made: SuiteResults, only) -> None:
    only(courses_section)
    found = section(render(dataclasses.replace(made, finals=made.finals.assign(seconds=math.nan))), "courses")
    assert found.count('<div class="panel"') == 2 * 6


def test_six_courses_are_drawn_and_the_others_counted(only) -> None:
    only(courses_section)
    found = section(render(with_courses(make(World(strategies=FEW, gaps=False)))), "courses")
    assert found.count('<div class="panel"') == 3 * 6
    assert "The first 6 of 12 tasks are drawn." in words(found)


def test_two_scores_are_no_course(made: SuiteResults, only) -> None:
    only(courses_section)
    finals = made.finals.assign(curve=[one[1:] for one in made.finals["curve"]])
    assert not section(render(dataclasses.replace(made, finals=finals)), "courses")


def test_what_a_label_is_worth_is_said_and_tabled(made: SuiteResults, page: str) -> None:
    found = words(section(page, "labels"))
    assert re.search(r"near, 5 labels per class: full_finetune is worth [\d.]+ to [\d.]+ times the labels: scratch "
                     r"would need [\d.]+ to [\d.]+ per class to score as high\.", found)  # fmt: skip
    assert re.search(r"full_finetune near [\d.]+× [\d.]+ to [\d.]+ ", found)
    assert "≤ 1×" in found, "scratch is better on digits with the fewest labels"
    assert "isotonic regression" in words(section(page, "protocol"))


@pytest.mark.parametrize("world", [
    World(datasets=("near",), strategies=FEW[1:], gaps=False), World(datasets=("near",), budgets=(5,), gaps=False),
])  # fmt: skip
@pytest.mark.usefixtures("undrawn")
def test_without_scratch_or_a_second_budget_no_label_is_worth_anything(world: World) -> None:
    page = render(make(world))
    assert "What a label is worth" not in page
    assert "isotonic regression" not in page
