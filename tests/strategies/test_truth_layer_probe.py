"""A probe of one unit, held against scikit-learn's logistic regression on that unit's features alone."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from bench import strategies
from bench.errors import NotApplicable
from bench.strategies.layer_probe import OneUnit
from tests.engine import toys


def layers():
    draw = np.random.default_rng(0)
    labels = np.arange(60) % 3
    return [torch.from_numpy(draw.normal(size=(60, width)) + np.eye(3, width)[labels]) for width in (4, 6, 5)], labels


def test_truth_layer_probe():
    rows, labels = layers()
    penalty = 0.05
    (head,) = OneUnit(unit=1).heads(rows[1:2], torch.from_numpy(labels), 3, [penalty])
    ours = torch.softmax(head.logits(rows[1]), 1).numpy()
    x = rows[1].numpy()
    centred = x - x.mean(0)
    scale = np.sqrt(np.square(centred).sum(1).mean())  # penalties do not depend on the features' size
    theirs = LogisticRegression(C=1 / (penalty * len(x)), tol=1e-10, max_iter=5000).fit(centred / scale, labels)
    np.testing.assert_allclose(ours, theirs.predict_proba(centred / scale), atol=1e-5)


def test_all_units_below_the_head_and_none_beyond(tiny):
    entry = strategies.find("layer_probe")
    assert [one.unit for one in entry.expand(entry.options(), 6)] == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match=r"unit: 5 is the head or beyond; .* unit is 0 \.\. 4 or all"):
        toys.recipe("layer_probe", 6, unit=5)


def test_a_unit_that_puts_out_no_tensor_cannot_be_probed():
    """And those behind it keep their numbers."""
    assert OneUnit(unit=3).read([0, 1, 3]) == [3]
    with pytest.raises(NotApplicable, match="unit 2 puts out no tensor; 0, 1, 3 do"):
        OneUnit(unit=2).read([0, 1, 3])


def test_a_probe_of_the_last_unit_is_the_logistic_probe(tmp_path, tiny):
    """And its records say which unit it read."""
    scores = {}
    for name, options in (("logistic_probe", {}), ("layer_probe", {"unit": 4})):
        _, final = toys.everything(toys.context(tmp_path / name), toys.fit_spec(recipe=toys.recipe(name, 6, **options)))
        assert final.status == "ok", final.error
        scores[name] = final.result["score"], final.result["loss"]
    assert scores["layer_probe"] == pytest.approx(scores["logistic_probe"], rel=1e-6)
    assert final.result["mix"] == [0, 0, 0, 0, 1]
    assert final.cost["logical"]["trainable_params"] == toys.CLASSES * (toys.network().modules[-1][0].in_features + 1)
