"""A page of several modalities says what each data set holds; a page of one calls its examples by their name."""

import html
import re
from dataclasses import replace

import numpy as np
import pytest

from bench.analysis.cells import cell_summary, records
from bench.analysis.comparison import Scores
from bench.analysis.headline import Findings, headline
from bench.modalities import MODALITIES, example_of
from bench.modalities.base import Modality
from bench.report import render
from bench.spec.refs import Mel, Pipeline, SoundPipeline, TextPipeline
from tests.analysis.synthetic import World, make
from tests.report.test_report import Page

pytestmark = pytest.mark.usefixtures("undrawn")

SEEN = "the first 128 tokens, as the tokenizer with SHA-256 0123456789ab cuts them"
WORLD = World(datasets=("near", "digits"), backbones=("resnet", "bert"), gaps=False)


def of_texts(frame, which):
    return frame.assign(modality=np.where(which, "text", frame["modality"]), seen_as=np.where(which, SEEN, "32 px"))


def one_kind():
    made = make(World(datasets=("near", "digits"), gaps=False))
    return replace(made, finals=of_texts(made.finals, True), description="")


def mixed(**suite):
    """The digits are texts, and each data set meets a backbone of its own."""
    made = make(WORLD)
    finals, trials = (
        frame[(frame["dataset"] == "digits") == (frame["backbone"] == "bert")].reset_index(drop=True)
        for frame in (made.finals, made.trials)
    )
    return replace(made, finals=of_texts(finals, finals["dataset"] == "digits"), trials=trials, description="",
                   suite={**made.suite, **suite})  # fmt: skip


def test_a_source_that_is_no_target_may_lack_its_record():
    made = mixed()
    lost = made.pretrainings.assign(dataset="elsewhere", status="missing", score=float("nan"))
    assert "elsewhere" in text_of(replace(made, pretrainings=lost))


def text_of(results):
    return Page(render(results)).text


def test_a_page_of_texts_speaks_of_texts():
    said = text_of(one_kind())
    assert "on these very test texts." in said
    assert "How each strategy errs on the test texts of each task" in said
    assert f"Of each text, a network sees {SEEN}." in said
    assert "Of texts, FLOPs are those of texts of the greatest length" in said
    before_the_suite = said.split("The suite as it was written")[0]
    assert re.findall(r"\w*(?:image|picture|pixel)\w*", before_the_suite, re.IGNORECASE) == []


def test_a_page_of_images_speaks_of_images():
    said = text_of(make(World(gaps=False)))
    assert "on these very test images." in said
    assert "Of each image, a network sees 32 × 32 pixels." in said
    assert "By modality" not in said
    assert "near (images)" not in said


def test_a_page_of_both_says_which_is_which():
    page = render(mixed())
    said = Page(page).text
    assert "on these very test examples." in said
    assert "How each strategy errs on the test examples of each task" in said
    assert "test images" not in said
    titles = [html.unescape(title) for title in re.findall(r"<h3><bdi>(.*?)</bdi></h3>", page)]
    assert "near (images) · resnet" in titles
    assert "digits (texts) · bert" in titles
    assert f"Of each image, a network sees 32 px. Of each text, a network sees {SEEN}." in said.replace("● ", "")
    assert "augmentation: of images shifts up to 2 px; of texts none" in said


def test_a_mean_for_each_modality():
    """Text tasks that a strategy cannot do take no task from it among the images."""
    results = mixed()
    finals = results.finals
    barred = (finals["strategy"] == "freeze(upto=1)") & (finals["modality"] == "text")
    finals.loc[barred, "status"], finals.loc[barred, "score"] = "not_applicable", np.nan
    page = render(results)
    table = page[page.index('id="table-modalities"') :]
    rows = {
        re.sub(r"<[^>]*>", "", row.split("</th>")[0].partition(">")[2]).strip(): re.findall(
            r'<td[^>]*>(?:.*?)<bdi>(.*?)</bdi>', row
        )
        for row in table[: table.index("</table>")].split("<tr")[2:]
    }  # fmt: skip
    for strategy, modality, place in (("freeze(upto=1)", "image", 0), ("full_finetune", "text", 1)):
        mine = finals[(finals["strategy"] == strategy) & (finals["modality"] == modality)]
        by_hand = mine.groupby("budget")["score"].mean().mean()
        assert rows[strategy][place].startswith(f"{100 * by_hand:.1f} ")
    assert rows["freeze(upto=1)"][1] == "—"
    assert "Over all 3 tasks of images" in Page(page).text
    assert "Over all 3 tasks of texts" in Page(page).text
    assert "freeze(upto=1) fits no network of texts, so it is ranked by modality alone." in Page(page).text


def test_the_headline_answers_for_each_modality():
    results = mixed()
    summary, scores = records(cell_summary(results.finals)), Scores.of(results.finals)
    told = headline(results, Findings.of(results, scores, summary))
    assert told[0].startswith("Over all 3 tasks of images ")
    assert any(sentence.startswith("Over all 3 tasks of texts ") for sentence in told)


def test_the_data_stand_in_a_table():
    page = render(mixed())
    table = page[page.index('id="table-data"') :]
    cells = re.findall(r"<bdi>(.*?)</bdi>", table[: table.index("</table>")])
    assert cells == ["near", "images", "10", "1,000", "800", "accuracy", "resnet",
                     "digits", "texts", "10", "1,000", "800", "accuracy", "bert"]  # fmt: skip


@pytest.mark.parametrize(("augment", "told"), [
    ({"text": {"mask": 0.15, "drop": 0.1}}, "augmentation: 15 % of the tokens masked and 10 % of the tokens left out."),
    ({"shift": 2, "flip": True}, "augmentation: none."),
    ({}, "augmentation: none."),
])  # fmt: skip
def test_changes_of_texts_in_words(augment, told):
    results = one_kind()
    results.suite["training"] = {**results.suite["training"], "augment": augment}
    assert told in text_of(results)


def test_changes_of_clips_in_words():
    results = one_kind()
    results = replace(results, finals=results.finals.assign(modality="sound"))
    sound = {"shift": 0.1, "noise": 0.5, "time_masks": 2, "mel_masks": 1, "widest": 0.125}
    results.suite["training"] = {**results.suite["training"], "augment": {"sound": sound, "views": 4}}
    said = text_of(results)
    assert "shifts up to 10 % of the length and noise up to 0.5 times a clip's own spread" in said
    masks = "and 2 masks in time and 1 mask of frequencies where the network takes log-mel energies, up to 12.5 % wide."
    assert masks in said
    assert "4 changed views of each training clip were drawn once" in said


@pytest.mark.parametrize(("modality", "pipeline", "told"), [
    ("image", Pipeline(224, (0.5,) * 3, (0.5,) * 3, crop=0.875),
     "224 × 224 pixels (bicubic, the middle 87.5 % of each side), normalised as the weights expect"),
    ("text", TextPipeline("0123456789abcdef", 64),
     "the first 64 tokens, as the tokenizer with SHA-256 0123456789ab cuts them"),
    ("text", TextPipeline("words/4096", 32), "the first 31 words, each as one of 4,092 numbers"),
    ("sound", SoundPipeline(samples=8000), "the wave, 0.5 s at 16,000 Hz"),
    ("sound", SoundPipeline(samples=16000, mel=Mel(), side=32),
     "log-mel energies of 1 s at 16,000 Hz: 64 bands every 10 ms, resized to 32 × 32 pixels"),
])  # fmt: skip
def test_pipelines_in_words(modality, pipeline, told):
    assert MODALITIES[modality].in_words(pipeline) == told


def test_words_and_numbers_of_a_hashing_tokenizer_are_those_that_it_has():
    from bench.modalities.tokens import FIRST_WORD

    text = " ".join(f"word{number}" for number in range(3000)).encode()
    columns = {"text": np.frombuffer(text, np.uint8)[None].copy()}
    tokens = MODALITIES["text"].handling().prepared(columns, TextPipeline("words/64", 3001), {})
    assert (tokens[0] > FIRST_WORD).sum() == 3000
    assert len(set(tokens[0].tolist()) - {0, 1}) == 60, "without padding and the beginning"
    assert MODALITIES["text"].in_words(TextPipeline("words/64", 3001)) == (
        "the first 3000 words, each as one of 60 numbers")


def test_every_modality_has_words_of_its_own():
    with pytest.raises(TypeError, match="'example'"):
        Modality("point", "points", (), lambda _: None, int, lambda: None, lambda *_: None)
    default = Modality.__dataclass_fields__["in_words"].default
    assert all(one.in_words is not default for one in MODALITIES.values())


def test_what_one_example_is_called():
    assert example_of(["image", "image"]) == "image"
    assert example_of(["sound"]) == "clip"
    assert example_of(["image", "text"]) == "example"
