"""The promises of the written worlds: the same everywhere, extended not changed, and no way round the grammar."""

import hashlib

import numpy as np
import pytest

from bench.datasets.worlds import clauses, words
from bench.datasets.written import REVISION, SOURCE, WIDTH, WORLDS, WRITTEN, WrittenOptions
from bench.modalities.tokens import texts_of

NAMES = list(WRITTEN)
# Of the first two texts of each class. Whoever changes a text bumps `REVISION` and stores these anew.
STORED = {
    "sentences": "81516da2a4a5ca8b", "sentences_near": "22a1842417320efb", "sentences_mid": "cf518893c70fc1c5",
    "sentences_far": "3a9f74ff09433321",
}  # fmt: skip


def load(name, **options):
    return WRITTEN[name].load(WrittenOptions(**options))


def texts(split):
    return [text for (text,) in texts_of(split.columns["text"])]


@pytest.mark.parametrize("name", NAMES)
def test_facts_agree_with_what_is_loaded(name):
    facts, dataset = (ask(WrittenOptions(train_per_class=9, test_per_class=4)) for ask in
                      (WRITTEN[name].facts, WRITTEN[name].load))  # fmt: skip
    assert dataset.classes == facts.classes
    assert len(set(facts.classes)) == facts.num_classes
    assert np.bincount(dataset.train.labels).tolist() == list(facts.train_sizes)
    assert np.bincount(dataset.test.labels).tolist() == list(facts.test_sizes)
    assert (facts.num_train, facts.num_test, facts.smallest_class) == (9 * facts.num_classes, 4 * facts.num_classes, 9)
    assert dataset.train.modality == facts.modality == "text"


@pytest.mark.parametrize("name", NAMES)
def test_texts_are_those_of_this_revision(name):
    found = "\n".join(texts(load(name, train_per_class=2, test_per_class=1).train))
    assert (REVISION, hashlib.sha256(found.encode()).hexdigest()[:16]) == (1, STORED[name]), found


@pytest.mark.parametrize("name", NAMES)
def test_more_texts_extend_the_set_and_another_seed_writes_others(name):
    few, many, other = load(name, train_per_class=3), load(name, train_per_class=20), load(name, seed=1)
    assert texts(many.train)[: len(few.train.labels)] == texts(few.train)
    assert texts(few.test) == texts(many.test)
    assert not set(texts(other.train)) & set(texts(few.train))


@pytest.mark.parametrize("name", NAMES)
def test_no_text_is_cut_and_none_stands_twice(name):
    dataset = load(name)
    assert max(map(len, texts(dataset.train))) < WIDTH
    seen = texts(dataset.train) + texts(dataset.test)
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize(("name", "most"), [
    ("sentences", 0.56), ("sentences_near", 0.56), ("sentences_mid", 0.45), ("sentences_far", 0.56),
])  # fmt: skip
def test_counting_words_comes_to_half_of_the_way_at_most(name, most):
    """scikit-learn's logistic regression on counts of words: it finds out which nouns there are, and not who is who."""
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.linear_model import LogisticRegression

    dataset = load(name, train_per_class=60, test_per_class=40)
    counts = CountVectorizer().fit(texts(dataset.train))
    fitted = LogisticRegression(C=10, max_iter=300).fit(counts.transform(texts(dataset.train)), dataset.train.labels)
    assert fitted.score(counts.transform(texts(dataset.test)), dataset.test.labels) < most


def test_no_class_of_the_near_world_is_the_sources():
    pairs = {name.partition(",")[0] for name in SOURCE}
    near = set(WRITTEN["sentences_near"].facts(WrittenOptions()).classes)
    assert not near & pairs
    kinds = [{kind for pair in some for kind in pair.split(" > ")} for some in (near, pairs)]
    assert kinds[0] <= kinds[1]


def test_far_words_stand_in_no_other_world():
    def vocabulary(name):
        return {word for text in texts(load(name, train_per_class=50).train) for word in text.split()}

    assert vocabulary("sentences_far") == set(words.BEADS)
    assert not set(words.BEADS) & (vocabulary("sentences") | vocabulary("sentences_mid"))


@pytest.mark.parametrize(("form", "is_negated", "said"), [
    (0.0, False, "the fox chased the king"), (0.0, True, "the fox did not chase the king"),
    (0.3, False, "the king was chased by the fox"), (0.3, True, "the king was not chased by the fox"),
    (0.5, False, "it was the fox who chased the king"), (0.5, True, "it was the fox who did not chase the king"),
    (0.8, False, "it was the king that the fox chased"), (0.8, True, "it was the king that the fox did not chase"),
])  # fmt: skip
def test_clauses_say_who_does_it(form, is_negated, said):
    assert clauses.clause("fox", "king", "chase", is_negated, (form, 0.9, 0.0)) == said


def test_strings_of_beads_are_what_their_class_says():
    dataset = load("sentences_far", train_per_class=30)
    for text, label in zip(texts(dataset.train), dataset.train.labels, strict=True):
        bead, half = dataset.classes[label].split(", ")
        string = text.split()
        halves = {"early": string[:5], "late": string[5:]}
        assert [halves[name].count(bead) for name in (half, *({"early", "late"} - {half}))] == [4, 0]


def test_the_catalogue_has_them_all():
    assert [world.name for world in WORLDS] == NAMES
