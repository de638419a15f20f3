"""The examples that most finals tell wrong, against a count by hand."""

from collections import Counter

import numpy as np

from bench.analysis.hardest import MOST, hardest
from bench.store.predictions import Predictions
from bench.store.samples import KeptExample, Samples, Shown
from tests.analysis.synthetic import make
from tests.analysis.test_mistakes import WORLD, drawn, of, with_predictions

TRUTH = drawn(60, 4)[0]


def samples(places, truth=TRUTH):
    tested = [KeptExample(place=place, label=int(truth[place]), example=Shown()) for place in places]
    return Samples(classes=[], tested=tested, num_tested=len(truth))


def told_by(strategy, repeat):
    seed = 1 + 10 * len(strategy) + repeat
    logits = np.random.default_rng(seed).normal(size=(60, 4)) + 1.2 * np.eye(4)[TRUTH]
    return of(TRUTH, np.exp(logits) / np.exp(logits).sum(1, keepdims=True))


def test_they_are_those_of_a_plain_count(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, told_by)
    places = list(range(0, 60, 2))
    found = hardest(made.finals, samples(places))
    answers = np.stack([told_by(row["strategy"], row["repeat"]).classes for row in made.finals.to_dict("records")])
    assert found.finals == len(answers) == 9
    wrong = {place: Counter(answers[:, place][answers[:, place] != TRUTH[place]].tolist()) for place in places}
    expected = sorted((place for place in places if wrong[place]), key=lambda place: (-wrong[place].total(), place))
    assert [places[one.number] for one in found.examples] == expected[:MOST]
    for one in found.examples:
        counts = wrong[places[one.number]]
        assert (one.wrong, one.asked, one.label) == (counts.total(), 9, TRUTH[places[one.number]])
        assert one.times == max(counts.values())
        assert one.answer == min(answer for answer, times in counts.items() if times == one.times)


def test_a_training_that_two_cells_share_counts_once(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, told_by)
    finals = made.finals.assign(key=made.finals["key"].where(made.finals["strategy"] != "linear_probe", "same"))
    assert hardest(finals, samples(range(60))).finals == 7


def test_repeats_with_test_examples_of_their_own_are_asked_about_those_alone(tmp_path):
    """Of a pool of 60, three repeats test 0..19, 10..29 and 10..29, and every answer is wrong. What one strategy of
    one repeat was asked about is too little to stand beside the others."""
    tests = {0: np.arange(20), 1: np.arange(10, 30), 2: np.arange(10, 30)}

    def told(strategy, repeat):
        places = tests[repeat]
        wrong = (TRUTH[places] + 1) % 4
        return Predictions(wrong == TRUTH[places], TRUTH[places].astype(np.uint16), wrong.astype(np.uint16),
                           images=places.astype(np.uint32)[::-1][np.argsort(-places)])  # fmt: skip

    made = with_predictions(make(WORLD), tmp_path, told)
    found = hardest(made.finals, samples([2, 11, 25, 45]))
    assert [(one.number, one.wrong, one.asked) for one in found.examples] == [(1, 9, 9), (2, 6, 6)]
    assert all(one.answer == (one.label + 1) % 4 for one in found.examples)


def test_answers_to_other_data_are_not_read(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, told_by)
    other = (TRUTH + 1) % 4
    assert hardest(made.finals, samples(range(60), other)).finals == 0
    beyond = [KeptExample(place=99, label=0, example=Shown())]
    assert hardest(made.finals, Samples(classes=[], tested=beyond, num_tested=100)).finals == 0


def test_bits_alone_say_nothing_of_answers(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, lambda *_: Predictions(np.arange(60) < 7))
    assert hardest(made.finals, samples(range(60))).examples == []


def test_what_everybody_tells_right_is_not_hard(tmp_path):
    made = with_predictions(make(WORLD), tmp_path, lambda *_: of(TRUTH, np.eye(4)[TRUTH] * 0.96 + 0.01))
    found = hardest(made.finals, samples(range(60)))
    assert found.examples == []
    assert found.finals == 9
