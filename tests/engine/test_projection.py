"""Features on their two main axes: against scikit-learn, and what a final's record holds of them."""

import base64

import numpy as np
import pytest
import torch

from bench.engine.common.start import start
from bench.engine.jobs.perform import perform
from bench.engine.jobs.projection import CLASSES, MOST, principal, projection
from bench.engine.jobs.similarity import _outputs, _outputs_at
from bench.store.results import Plane, Projection
from tests.engine import toys
from tests.engine.test_similarity import final

pytestmark = pytest.mark.usefixtures("tiny")


def numbers(text, dtype=np.int8):
    return np.frombuffer(base64.b64decode(text), dtype)


def drawn(num, width, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num, 5)) @ rng.normal(size=(5, width)) * [3.0] * width + rng.normal(size=width)


@pytest.mark.parametrize(("num", "width"), [(40, 7), (30, 200), (3, 2)])
def test_axes_are_those_of_scikit_learn(num, width):
    theirs = pytest.importorskip("sklearn.decomposition").PCA(2, svd_solver="full")
    features = drawn(num, width)
    expected = theirs.fit_transform(features)
    places, shares = principal(torch.from_numpy(features))
    signs = np.sign((places.numpy() * expected).sum(0))
    assert places.numpy() == pytest.approx(signs * expected, rel=1e-6, abs=1e-8)
    assert shares.numpy() == pytest.approx(theirs.explained_variance_ratio_, rel=1e-9)
    assert (places[places.abs().argmax(0), range(2)] > 0).all(), "the same sign every time"


def test_what_is_kept_is_that_in_eight_bits():
    theirs = pytest.importorskip("sklearn.decomposition").PCA(2, svd_solver="full")
    before, after = drawn(60, 9), drawn(60, 4, seed=1)
    labels = torch.arange(60) % 3
    found = projection(labels, torch.from_numpy(before), torch.from_numpy(after))
    assert numbers(found.labels, np.uint8).tolist() == labels.tolist()
    for plane, features in ((found.before, before), (found.after, after)):
        expected = theirs.fit_transform(features)
        expected = 127 * expected / np.abs(expected).max()
        mine = numbers(plane.places).reshape(-1, 2).astype(float)
        signs = np.sign((mine * expected).sum(0))
        assert np.abs(mine - signs * expected).max() <= 0.5 + 1e-6
        assert np.abs(mine).max() == 127


def test_few_classes_and_few_examples_of_each_are_kept():
    labels = torch.arange(4000) % 20
    features = torch.randn(4000, 6, generator=torch.Generator().manual_seed(0))
    found = projection(labels, features, features)
    kept = numbers(found.labels, np.uint8)
    assert len(kept) == MOST
    assert set(kept.tolist()) == set(range(CLASSES)), "of sets whose classes take turns, too"
    assert len(str(found.plain())) < 3000


def test_features_without_a_spread_and_too_few_examples():
    alike = torch.full((10, 3), 0.5)
    found = projection(torch.zeros(10, dtype=torch.int64), alike, alike)
    assert set(numbers(found.before.places).tolist()) == {0}
    assert found.before.shares == [0, 0]
    assert projection(torch.tensor([0, 1]), alike[:2], alike[:2]) is None
    assert projection(torch.full((10,), CLASSES), alike, alike) is None


def test_a_record_holds_it_of_the_start_and_of_the_trained_network(tmp_path):
    context, spec, record = final(tmp_path)
    told = Projection.model_validate(record.result["projection"])
    begin = start(spec, context)
    images = context.data(spec.data).test
    before = _outputs_at(begin, images, spec.pipeline)[4]
    expected = projection(images.labels, before, before)
    assert told.before == expected.before
    assert told.labels == expected.labels
    assert told.after != told.before
    begin.renew()
    again = _outputs(begin.network, images, spec.pipeline)[4]
    assert torch.equal(again, before), "the training's end is another network"


def test_later_repeats_and_other_suites_have_none(tmp_path):
    context = toys.context(tmp_path, similarity=True)
    spec, job = toys.pretrained(context, repeat=1)
    _, later = toys.everything(context, spec, job.key)
    assert "projection" not in later.result
    assert len(later.result["similarity"]) == 5
    silent = toys.context(tmp_path / "silent")
    spec, job = toys.pretrained(silent)
    assert perform(job, silent)
    assert "projection" not in toys.everything(silent, spec, job.key)[1].result


@pytest.mark.parametrize("change", [{"labels": "AAA="}, {"labels": "not base64!"},
                                    {"before": {"places": "AAAA", "shares": [0.5, 0.1]}},
                                    {"after": {"places": "", "shares": [0.5, 2.0]}}])  # fmt: skip
def test_a_record_that_contradicts_itself_is_none(change):
    plane = Plane(places=base64.b64encode(bytes(6)).decode(), shares=[0.5, 0.25])
    whole = Projection(labels=base64.b64encode(bytes(3)).decode(), before=plane, after=plane).plain()
    assert Projection.model_validate(whole).before == plane
    with pytest.raises(ValueError, match=r"labels|places|shares|two numbers"):
        Projection.model_validate({**whole, **change})
