"""Examples of the data on the page: the sheet of each set, the hardest ones, names of classes, and features before and
after training."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest

from bench.modalities.glimpse import of_pictures
from bench.report import render
from bench.report.sections.mistakes import ROOM
from bench.report.sections.samples import CLASSES, SETS
from bench.report.sections.similarity import PICTURED
from bench.store.remembered import remember
from bench.store.results import Plane, Projection
from bench.store.samples import KeptExample, KeptSamples, OfClass, Samples, Shown
from tests.analysis.synthetic import make
from tests.analysis.test_mistakes import WORLD, drawn, of, with_predictions
from tests.report.test_mistakes_page import words

TRUTH = drawn(60, 4)[0]
PICTURE = of_pictures(np.full((1, 6, 6, 3), 120, np.uint8)).picture
NAMES = ("<script>alert(1)</script>", "dog", "apple \u05d0\u05d1", "emu")
IMAGE, TEXT = Shown(picture=PICTURE), Shown(texts=["<b>one</b>", "two", "three"])


def samples(shown=IMAGE, names=NAMES, truth=TRUTH):
    """All test examples are kept."""
    classes = [OfClass(name=name, num_train=1000 + k, num_test=k, examples=shown, num=4) if k < CLASSES
               else OfClass(name=name, num_train=1000 + k, num_test=k) for k, name in enumerate(names)]  # fmt: skip
    tested = [KeptExample(place=place, label=int(label), example=shown) for place, label in enumerate(truth)]
    return Samples(classes=classes, tested=tested, num_tested=500)


def told(_, repeat):
    logits = np.random.default_rng(repeat).normal(size=(60, 4)) + 1.5 * np.eye(4)[TRUTH]
    return of(TRUTH, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))


def kept(folder, content):
    path = folder / "samples" / "one.json"
    remember(path, content.plain())
    return KeptSamples(path)


@pytest.fixture
def made(tmp_path):
    """`made(samples)`: results of one task with predictions."""

    def build(content=None, world=WORLD, **fields):
        results = with_predictions(make(world), tmp_path / "store", told)
        one = kept(tmp_path, samples() if content is None else content)
        return dataclasses.replace(results, samples=dict.fromkeys(world.datasets, one), **fields)

    return build


def part(html, anchor):
    (found,) = re.findall(rf'<section id="{anchor}".*?</section>', html, re.DOTALL)
    return found


def of_modality(results, modality):
    return dataclasses.replace(results, finals=results.finals.assign(modality=modality))


def test_a_row_for_each_class_with_its_counts_and_examples(made):
    found = part(render(made()), "samples")
    said = words(found)
    assert "dog 1,001 1" in said
    assert found.count(f'<img class="glimpse" src="data:{PICTURE}"') == 4
    assert 'alt="4 images of class dog"' in found
    assert "chosen at random" in said


@pytest.mark.usefixtures("undrawn")
def test_names_and_texts_are_escaped_everywhere(made):
    html = render(of_modality(made(samples(TEXT)), "text"))
    assert "<script>alert" not in html
    assert "<b>one" not in html
    assert "&lt;b&gt;one&lt;/b&gt;" in part(html, "samples")
    assert "&lt;script&gt;alert" in part(html, "samples")
    assert "&lt;script&gt;alert" in part(html, "mistakes")
    tags = Tags()
    tags.feed(render(made()))
    assert tags.found.count("script") == 1


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.found = []

    def handle_starttag(self, tag, attrs):
        self.found.append(tag)


def test_two_texts_of_each_class_are_enough(made):
    found = words(part(render(of_modality(made(samples(TEXT)), "text")), "samples"))
    assert "two" in found
    assert "three" not in found
    assert "cut off after 120 characters" in found


def test_a_clip_is_a_picture_and_the_caption_says_of_what(made):
    found = part(render(of_modality(made(), "sound")), "samples")
    assert 'alt="4 clips of class dog"' in found
    assert "time from left to right and pitch from low to high" in words(found)


def test_pictures_are_allowed_and_nothing_else_is_loaded(made):
    html = render(made())
    assert "default-src 'none'; img-src data:;" in html
    assert not re.findall(r'(?:src|href)="(?!data:image/|#)', html)


def test_of_many_classes_the_rest_is_told(made):
    names = tuple(f"class {k:02}" for k in range(30))
    found = words(part(render(made(samples(names=names))), "samples"))
    assert "class 11" in found
    assert "class 12" not in found
    assert "Not shown: 18 more classes of 1,012 to 1,029 training images." in found


@pytest.mark.usefixtures("undrawn")
def test_of_many_data_sets_the_rest_is_told(made, tmp_path):
    results = made()
    names = [f"set {k}" for k in range(SETS + 3)]
    finals = pd.concat([results.finals.assign(dataset=name) for name in names], ignore_index=True)
    more = dataclasses.replace(results, finals=finals, samples=dict.fromkeys(names, results.samples["near"]))
    found = part(render(more), "samples")
    assert found.count("<details>") == SETS
    assert "Left out to keep the page small: examples of 3 data sets." in words(found)


def test_records_from_before_have_no_sheet(made, tmp_path):
    results = dataclasses.replace(made(), samples={"near": KeptSamples(tmp_path / "none.json")})
    html = render(results)
    assert '<section id="samples"' not in html
    assert "hardest" not in words(part(html, "mistakes"))


def test_a_damaged_file_is_a_sentence(made):
    results = made()
    path = results.samples["near"].path
    path.write_bytes(path.read_bytes()[:-5])
    fresh = dataclasses.replace(results, samples={"near": KeptSamples(path)})
    html = render(fresh)
    assert f"{path}: damaged" in words(part(html, "samples"))
    assert "Accuracy" in words(part(html, "mistakes"))


def test_a_suite_that_keeps_them_out_is_told_in_one_line(made):
    results = made()
    silent = dataclasses.replace(results, samples={}, suite={**results.suite, "records": {"samples": False}})
    found = part(render(silent), "samples")
    assert "the suite keeps them out of the page (records: {samples: false})" in words(found)
    assert "<table" not in found
    assert "data:image" not in render(silent)


def test_the_hardest_examples_have_names_numbers_and_a_scope(made):
    found = part(render(made()), "mistakes")
    cards = found[found.index('class="plots cards"') :]
    assert cards.count("<h4>") == 12
    assert cards.count(f'src="data:{PICTURE}"') == 12
    assert re.search(r"wrong in \d of 9, most often as (emu|dog|apple|.*script)", words(cards))
    assert "one of 60 that were drawn at random from the 500 test images" in words(cards)
    assert "of the 9 trainings of this data set" in words(cards)


def test_answers_that_are_no_class_have_a_name_too(made, tmp_path):
    results = made()

    def beyond(*_):
        whole = told("", 0)
        return dataclasses.replace(whole, classes=np.where(whole.right, whole.classes, 4).astype(np.uint16))

    odd = with_predictions(make(WORLD), tmp_path / "odd", beyond)
    odd = dataclasses.replace(odd, samples=results.samples)
    assert "most often as none of these" in words(part(render(odd), "mistakes"))


def test_classes_go_by_their_names_where_these_are_known(made):
    results = made()
    named = words(part(render(results), "mistakes"))
    assert "Strategy <script>alert… dog".replace("<", "&lt;").replace(">", "&gt;") in named
    assert re.search(r"emu \d+ \d+ \d+ \d+ \d+", named), "a row of the confusions"
    planned = dataclasses.replace(results, samples={}, classes={"near": ("ant", "bee", "cat", "dog")})
    assert "Strategy ant bee cat dog" in words(part(render(planned), "mistakes"))
    wrong = dataclasses.replace(results, samples={}, classes={"near": ("ant", "bee")})
    assert "Strategy 0 1 2 3" in words(part(render(wrong), "mistakes")), "names of other classes are worse than numbers"


def test_recalls_of_every_strategy_are_those_of_scikit_learn(made):
    theirs = pytest.importorskip("sklearn.metrics")
    found = part(render(made()), "mistakes")
    (table,) = re.findall(r'<table data-name="recalls-0".*?</table>', found, re.DOTALL)
    kept = [told("", repeat) for repeat in range(3)]
    truth, classes = (np.concatenate([getattr(one, name) for one in kept]) for name in ("truth", "classes"))
    expected = [f"{100 * value:.0f}" for value in theirs.recall_score(truth, classes, average=None)]
    for row in re.findall(r"<tr>.*?</tr>", table, re.DOTALL)[1:]:
        assert re.findall(r"<bdi>(\d+)</bdi>", row) == expected


def test_of_many_classes_the_worst_told_ones_are_shown(made, tmp_path):
    """Of 30 classes number 7 is always told wrong, the others are told right."""
    truth = np.repeat(np.arange(30), 4).astype(np.uint16)
    answers = np.where(truth == 7, 8, truth).astype(np.uint16)
    one = dataclasses.replace(of(truth, np.eye(30)[truth] * 0.9 + 0.003), classes=answers, right=answers == truth)
    results = with_predictions(make(WORLD), tmp_path / "many", lambda *_: one, 30)
    found = words(part(render(results), "mistakes"))
    assert "The 8 classes of 30 that are told worst: near" in found
    assert "Strategy 7 0 1 2 3 4 5 6" in found


def test_every_strategy_has_its_confusions_under_one_fold(made):
    found = part(render(made()), "mistakes")
    assert "Confusions of the highest mean" in found
    (group,) = re.findall(r'<details class="group">.*?</details>\s*</details>', found, re.DOTALL)
    assert "Class by class, every strategy: near" in group
    assert re.findall(r"<summary>Confusions of (\w+)", group) == ["linear_probe", "full_finetune"]
    assert "Confusions of the highest mean: near, 5 labels per class, scratch" in found, "all have the same mean"
    assert group.count("<table") == 3
    assert len(re.findall(r'<table data-name="confusion-0[^"]*"', found)) == 3


@pytest.mark.usefixtures("undrawn")
def test_room_for_confusions_ends_and_what_is_left_out_is_told(made, tmp_path):
    """Twelve tasks of 20 classes: 440 numbers a table of confusions, and of all strategies 12 * (2 * 440 + 63)."""
    truth, probabilities = drawn(200, 20)
    results = with_predictions(make(WORLD), tmp_path / "room", lambda *_: of(truth, probabilities), 20)
    finals = [results.finals.assign(dataset=f"set {k:02}") for k in range(12)]
    results = dataclasses.replace(results, finals=pd.concat(finals, ignore_index=True))
    found = part(render(results), "mistakes")
    assert found.count("<summary>Confusions of the highest mean") == 12
    confusions = re.findall(r'<table data-name="confusion-\d+-\d+"', found)
    recalls = re.findall(r'<table data-name="recalls-\d+"', found)
    assert len(recalls) > len(confusions) / 2 > 1
    assert 440 * len(confusions) + 63 * len(recalls) <= ROOM
    assert f"{36 - len(confusions) - len(recalls)} tables of classes and confusions" in words(found)
    assert len(found) < 500_000


def projection(num=40, seed=0):
    rng = np.random.default_rng(seed)

    def plane(first):
        places = base64.b64encode(rng.integers(-127, 128, (num, 2)).astype(np.int8).tobytes()).decode()
        return Plane(places=places, shares=[first, 0.125])

    labels = base64.b64encode((np.arange(num) % 4).astype(np.uint8).tobytes()).decode()
    return Projection(labels=labels, before=plane(0.31), after=plane(0.62))


def projected(results, tells=lambda row: True, likeness=0.7):
    finals = results.finals.copy()
    rows = finals.to_dict("records")
    first = [row["repeat"] == 0 and row["status"] == "ok" and tells(row) for row in rows]
    finals["projection"] = pd.Series([projection() if one else None for one in first], dtype="object")
    finals["similarity"] = pd.Series([(1.0, likeness)] * len(rows), dtype="object")
    return dataclasses.replace(results, finals=finals)


def test_features_before_and_after_are_marked_by_class(made):
    found = part(render(projected(made())), "similarity")
    figure = found[found.index("Features before and after") :]
    assert figure.count('<svg class="plot"') == 2
    places = np.frombuffer(base64.b64decode(projection().before.places), np.int8).reshape(-1, 2).astype(float)
    order = [label + 4 * place for label in range(4) for place in range(10)]  # class by class
    drawn = re.findall(r'<use href="#(\S+?)" x="([\d.]+)" y="([\d.]+)"', figure)[:40]
    assert [drawn.count(one) for one in drawn] == [1] * 40
    assert len({shape for shape, _, _ in drawn}) == 4
    seen = np.array([(float(x), -float(y)) for _, x, y in drawn])
    slopes = []
    for axis in (0, 1):
        (slope, _), (error, *_), *_ = np.polyfit(places[order, axis], seen[:, axis], 1, full=True)
        assert error < 0.01, "marks stand where the examples do"
        slopes.append(slope)
    assert slopes[0] == pytest.approx(slopes[1], rel=0.01), "distances keep their proportions"
    said = words(figure)
    assert "after full_finetune" in said
    assert "first axis, 31 % of the variance" in said
    assert "first axis, 62 % of the variance" in said
    assert "second axis, 12 % of the variance" in said
    assert said.count("dog") == 1
    legend = figure[: figure.index("</ul>")]
    assert len(set(re.findall(r'href="(#shape-\d)"', legend))) == 4, "a shape each"
    assert len(set(re.findall(r"var\(--(s\d)\)", legend))) == 4, "a colour each"
    assert "Each mark is one of 40 test images" in said


@pytest.mark.usefixtures("undrawn")
def test_another_strategy_stands_in_for_full_fine_tuning(made):
    results = made(world=dataclasses.replace(WORLD, strategies=("scratch", "freeze(upto=1)", "freeze(upto=4)")))
    found = words(part(render(projected(results)), "similarity"))
    means = results.finals.groupby("strategy")["score"].mean().drop("scratch")
    assert f"after {means.idxmax()}" in found
    alone = words(part(render(projected(results, lambda row: row["strategy"] == "scratch")), "similarity"))
    assert "Features before and after" not in alone, "scratch begins with no pretrained network"
    still = words(part(render(projected(results, likeness=1.0)), "similarity"))
    assert "Features before and after" not in still, "nothing was moved"


def test_pictures_of_many_tasks_are_capped_and_told(made):
    results = made()
    finals = [results.finals.assign(dataset=f"set {k}") for k in range(PICTURED + 2)]
    many = projected(dataclasses.replace(results, finals=pd.concat(finals, ignore_index=True)))
    found = part(render(many), "similarity")
    assert found.count("Features before and after") == PICTURED
    assert "such pictures of 2 more tasks" in words(found)
    assert len(found) < 400_000


@pytest.mark.usefixtures("undrawn")
def test_many_tasks_are_not_all_drawn(made):
    world = dataclasses.replace(WORLD, datasets=("near", "mid", "far", "digits"), budgets=(5, 20, 100))
    found = part(render(projected(made(world=world))), "similarity")
    units = found[: found.index("Features before and after")]
    assert units.count('<div class="panel"') == 9
    assert "Left out to keep the page small: 3 more tasks." in words(units)
    assert "such pictures of 10 more tasks" in words(found)
