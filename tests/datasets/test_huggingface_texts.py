"""Text sets of the Hugging Face hub: which columns are taken, and that texts come as they are."""

import pytest

from bench import datasets
from bench.datasets.huggingface import HubOptions
from bench.errors import BenchError
from bench.keys import digest
from bench.modalities.tokens import texts_of

hub = pytest.importorskip("datasets", reason="Hugging Face's library is an extra")
ROWS = {"text": ["ein Satz", "Ünïcode ✓", "", "noch einer", "fünf", "sechs"], "label": [0, 1, 0, 1, 0, 1]}
PAIRS = {"premise": ["a b", "c", "d", "e"], "claim": ["x", "y z", None, "w"], "label": [0, 1, 1, 0]}


def saved(folder, test=None, names=("no", "yes"), **rows):
    def made(part):
        strings = {name: hub.Value("string") for name in part if name != "label"}
        features = hub.Features({**strings, "label": hub.ClassLabel(names=list(names))})
        return hub.Dataset.from_dict(part, features=features)

    hub.DatasetDict({"train": made(rows), "test": made(test or rows)}).save_to_disk(str(folder))
    return HubOptions(path=str(folder))


def read(options):
    entry = datasets.find("hf")
    return entry.facts(options), entry.load(options)


def test_texts_come_as_they_are(tmp_path):
    facts, loaded = read(saved(tmp_path, **ROWS))
    assert facts.modality == loaded.train.modality == "text"
    assert [text for (text,) in texts_of(loaded.train.columns["text"])] == ROWS["text"]
    assert loaded.train.labels.tolist() == ROWS["label"]
    assert (facts.num_train, facts.num_test, facts.classes, facts.train_sizes) == (6, 6, ("no", "yes"), (3, 3))
    assert facts.notes == ("2 of 12 texts are empty", "6 of 6 test texts are training texts too, byte for byte")


def test_no_text_is_cut(tmp_path):
    """The longest one stands in the test split."""
    longer = {"text": ["lang " * 40, "kurz"], "label": [0, 1]}
    _, loaded = read(saved(tmp_path, test=longer, **ROWS))
    assert texts_of(loaded.test.columns["text"])[0] == (longer["text"][0],)
    assert loaded.train.columns["text"].shape[1] == loaded.test.columns["text"].shape[1] == 200


def test_pairs_have_a_second_column(tmp_path):
    options = saved(tmp_path, **PAIRS).model_copy(update={"text": "premise", "second": "claim"})
    _, loaded = read(options)
    wanted = [(first, second or "") for first, second in zip(PAIRS["premise"], PAIRS["claim"], strict=True)]
    assert texts_of(loaded.train.columns["text"]) == wanted
    _, one = read(options.model_copy(update={"second": None}))
    assert texts_of(one.train.columns["text"]) == [(first,) for first in PAIRS["premise"]]
    with pytest.raises(BenchError, match="no column 'hypothesis'; found"):
        read(options.model_copy(update={"second": "hypothesis"}))
    with pytest.raises(BenchError, match=r"`image` and `text` \(or `second`\) are both given"):
        read(options.model_copy(update={"image": "photo"}))


def test_the_only_column_of_texts_is_taken_and_of_several_one_must_be_named(tmp_path):
    _, loaded = read(saved(tmp_path / "one", sentence=ROWS["text"], label=ROWS["label"]))
    assert [text for (text,) in texts_of(loaded.train.columns["text"])] == ROWS["text"]
    with pytest.raises(BenchError, match="which column is the text.*name it with the option `text`"):
        read(saved(tmp_path / "several", **PAIRS))


def test_options_of_clips_are_refused(tmp_path):
    with pytest.raises(BenchError, match="the option `rate` is for clips, and these are texts"):
        read(saved(tmp_path, **ROWS).model_copy(update={"rate": 8_000}))


def test_sets_of_pictures_keep_their_names():
    """The options that texts brought are in no digest while they are unset."""
    told = HubOptions(path="x").in_key(("path",))
    assert not {"text", "second"} & told.keys()
    older = {"side": None, "fit": "crop", "test_share": 0.2, "split_seed": 0, "image": "", "label": "", "train": "",
             "test": ""}  # fmt: skip
    assert digest(told) == digest(older)
