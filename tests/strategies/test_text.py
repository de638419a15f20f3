"""Strategies on a text encoder: each runs, or says in one line why it cannot; and padding counts in none."""

import dataclasses

import pytest
import torch

from bench.engine.jobs.perform import perform
from bench.network.build import adapted
from bench.network.capture import in_eval_mode, watched
from bench.spec.refs import Weights
from bench.strategies import STRATEGIES
from bench.strategies.dann import together
from bench.strategies.delta import distance
from tests.engine import toys, words
from tests.engine.test_text import SEARCH, TRAINING, context
from tests.strategies.test_contract import OPTIONS
from tests.strategies.test_truth_encoders import rows_and_network

BATCH_NORM = "this network has no BatchNorm"
VISION = "needs a vision transformer with blocks of attention and MLP"
WHY_NOT = {
    "bn_frozen": BATCH_NORM, "bn_adapt": BATCH_NORM, "stochnorm": BATCH_NORM,
    "adapter": VISION, "vpt": VISION, "residual_adapter": "no convolution of 3x3 or more", "rotation": "turns pictures",
}  # fmt: skip
FEW = {"training": dataclasses.replace(TRAINING, steps=4), "search": dataclasses.replace(SEARCH, trials=1)}


@pytest.fixture(autouse=True)
def texts(monkeypatch):
    words.put_in_place(monkeypatch)


@pytest.fixture(scope="module")
def pretrained(tmp_path_factory):
    """An encoder that learned these sentences inside the suite, with its head."""
    with pytest.MonkeyPatch.context() as patch:
        words.put_in_place(patch)
        folder = tmp_path_factory.mktemp("pretrained")
        ref, pipeline, files = words.encoder(folder / "net", options={"max_length": 40})
        made = context(folder, files)
        job = toys.pretrain_job(data=words.DATA, backbone=ref, pipeline=pipeline, shift=0, optimizer="adamw", lr=1e-3)
        assert perform(job, made)
        return dataclasses.replace(ref, weights=Weights("pretrain", job.key)), pipeline, files, made.shared, job.key


@pytest.mark.parametrize("name", [name for name in STRATEGIES if name != "own_head"])
def test_it_runs_or_says_why_not(tmp_path, pretrained, name):
    ref, pipeline, files, shared, key = pretrained
    recipe = dataclasses.replace(toys.recipe(name, 5, **OPTIONS.get(name, {})), via=None)
    spec = dataclasses.replace(words.fit_spec(ref, pipeline, **FEW), recipe=recipe)
    (trial,), final = toys.everything(context(tmp_path, files, shared=shared), spec, key)
    if name in WHY_NOT:
        assert (trial.status, final.status) == ("not_applicable", "not_applicable")
        assert WHY_NOT[name] in trial.error
    else:
        assert (trial.status, final.status) == ("ok", "ok"), (trial.error, final.error)


def pooled(net, rows):
    with torch.no_grad(), in_eval_mode(net.module), watched(net, units=True) as seen:
        net.module(rows)
    return seen


@pytest.mark.parametrize("kind", ["bert", "gpt2", "t5"])
def test_what_a_unit_puts_out_is_pooled_over_real_tokens(tmp_path, double, kind):
    net, rows = rows_and_network(tmp_path, kind)
    alone = [pooled(net, row[None, : int((row > 0).sum())]).pooled() for row in rows]
    together = pooled(net, rows).pooled()
    assert sorted(together) == [0, 1, 2, 3]
    for unit, value in together.items():
        torch.testing.assert_close(value, torch.cat([one[unit] for one in alone]))


def test_the_pull_of_delta_does_not_see_padding(tmp_path, double):
    net, rows = rows_and_network(tmp_path)
    other, _ = rows_and_network(tmp_path)
    torch.nn.init.normal_(other.module.encoder.encoder.layer[0].output.dense.weight)
    found = []
    for given in (rows, torch.nn.functional.pad(rows, (0, 9))):
        now, then = pooled(net, given), pooled(other, given)
        found.append(distance(now.units[2], then.units[2], None, False, now.real))
    torch.testing.assert_close(*found)
    assert found[0] > 0


def test_batches_of_other_lengths_are_padded_to_the_longer_one():
    one, other = torch.tensor([[1, 2, 3]]), torch.tensor([[4], [5]])
    assert together(one, other).tolist() == [[1, 2, 3], [4, 0, 0], [5, 0, 0]]
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(together(images, images), torch.cat([images, images]))


def test_norms_biases_and_what_decays_are_found_on_a_bert(tmp_path):
    """As the library names them, and as its own trainer exempts them from decay."""
    net, _ = rows_and_network(tmp_path)
    body = {name for unit in net.parameters[:-1] for name in unit}
    head = set(net.parameters[-1])
    plain = {name: dataclasses.replace(toys.recipe(name, 5)).active(0) for name in ("bitfit", "norm_tune")}
    assert net.learned(plain["bitfit"]) - head == {name for name in body if name.endswith(".bias")}
    assert net.learned(plain["norm_tune"]) - head == {name for name in body if "LayerNorm" in name}
    exempt = {name for name in body if name.endswith(".bias") or "LayerNorm.weight" in name}
    assert net.decaying - head == body - exempt


def test_factors_of_ia3_are_not_pulled_to_zero(tmp_path):
    net, _ = rows_and_network(tmp_path)
    made = adapted(net, toys.recipe("ia3", 5).adapt, ("coarse", 1))
    assert made.added
    assert not made.decaying & made.added


def test_biases_of_a_network_without_any_are_told(tmp_path):
    ref, pipeline, files = words.encoder(tmp_path / "net", "t5")
    (trial,), final = toys.everything(context(tmp_path, files), words.fit_spec(ref, pipeline, "bitfit", **FEW))
    assert (trial.status, trial.error) == ("not_applicable", "this network has no biases to train")
    assert final.status == "not_applicable"
