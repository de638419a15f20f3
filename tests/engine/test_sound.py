"""Sound trains like pictures: waves and log-mel energies, whole and cut and in fleets; and its random changes."""

import dataclasses

import numpy as np
import pytest
import torch

from bench.backbones.encoders import BACKBONE
from bench.datasets import DATASETS, tones
from bench.datasets.tones import TonesOptions
from bench.engine.train.setting import SourceNetwork
from bench.keys import digest
from bench.modalities.sound import PICTURE
from bench.modalities.waves import Changes, SoundHandling
from bench.spec.refs import BackboneRef, DataRef, Engine, LabelBudget, SoundChanges, SoundPipeline, Weights
from tests.backbones.test_sound_encoders import CONFIGS, WAVE_FRONT
from tests.engine import toys
from tests.engine.test_staging import assert_alike

SAMPLES = 1600
HANDLING = SoundHandling()


@pytest.fixture
def few(monkeypatch):
    """Three kinds of sound, a tenth of a second of each clip."""

    def load(options):
        whole = tones.load(TonesOptions(train_per_class=8, test_per_class=6, noise=0.0)).of_classes([0, 6, 9])

        def short(split):
            wave = np.ascontiguousarray(split.columns["wave"][:, 7000 : 7000 + SAMPLES])
            return dataclasses.replace(split, columns={**split.columns, "wave": wave})

        return dataclasses.replace(whole, train=short(whole.train), test=short(whole.test))

    facts = dataclasses.replace(tones.facts(TonesOptions(train_per_class=8, test_per_class=6)), num_classes=3,
                                num_train=24, num_test=18)  # fmt: skip
    entry = dataclasses.replace(tones.TONES, name="few", facts=lambda options: facts, load=load)
    monkeypatch.setitem(DATASETS, "few", entry)
    return DataRef("few", tones.TonesOptions().in_key(), facts.revision, 3)


def wave_encoder(name):
    kind = name.partition(",")[0]
    config = {"model_type": kind, **CONFIGS[name], "hidden_dropout": 0.0, "attention_dropout": 0.0,
              "activation_dropout": 0.0, "feat_proj_dropout": 0.0}  # fmt: skip
    front = {"rate": 16000, "each": WAVE_FRONT["do_normalize"], "mel": None}
    options = BACKBONE.options(config=config, front=front, pooling="mean").model_dump()
    return BackboneRef("hf", options, "coarse", Weights("random")), SoundPipeline(samples=SAMPLES, each=True), 4


def picture_network():
    mel = dataclasses.replace(PICTURE.mel, hop=40, bands=16)
    pipeline = dataclasses.replace(PICTURE, samples=SAMPLES, mel=mel)
    return BackboneRef("small_resnet", {"width": 4}, "coarse", Weights("random")), pipeline, 6


NETWORKS = {"waves": wave_encoder("wav2vec2"), "stable": wave_encoder("wav2vec2, stable"),
            "wavlm": wave_encoder("wavlm"), "pictures": picture_network()}  # fmt: skip
CHANGED = SoundChanges(shift=0.2, noise=0.3, time_masks=1, mel_masks=1)


def fit(network, strategy, data, **changes):
    ref, pipeline, units = NETWORKS[network]
    training = dataclasses.replace(toys.TRAINING, steps=6, **changes)
    search = dataclasses.replace(toys.SEARCH, trials=2)
    return toys.fit_spec(data=data, backbone=ref, recipe=toys.recipe(strategy, units), pipeline=pipeline,
                         training=training, search=search)  # fmt: skip


@pytest.mark.parametrize(("network", "strategy", "changes"), [
    ("waves", "linear_probe", {}), ("waves", "full_finetune", {"sound": CHANGED}), ("stable", "gradual_unfreeze", {}),
    ("wavlm", "gradual_unfreeze", {}), ("pictures", "linear_probe", {"sound": CHANGED, "views": 2}),
    ("pictures", "full_finetune", {"sound": CHANGED}), ("waves", "linear_probe", {"sound": CHANGED, "views": 2}),
])  # fmt: skip
def test_every_way_comes_to_the_same(tmp_path, double, few, network, strategy, changes):
    ways = {"plain": Engine(partition=False, fleet=1), "cut": Engine(fleet=1), "fleet": Engine()}
    found = {}
    for way, engine in ways.items():
        context = toys.context(tmp_path / way, engine=engine)
        trials, final = toys.everything(context, fit(network, strategy, few, **changes))
        found[way] = [*trials, final]
        assert {record.status for record in found[way]} == {"ok"}, found[way][0].error
    for way in ("cut", "fleet"):
        assert_alike(found[way], found["plain"], tolerance=1e-7)


def test_what_is_frozen_is_computed_once(tmp_path, few):
    context = toys.context(tmp_path, engine=Engine(fleet=1))
    _, final = toys.everything(context, fit("waves", "linear_probe", few))
    assert final.cost["engine"]["frozen"][0] == "kept"


@pytest.mark.parametrize(("strategy", "why"), [
    ("source_only", "needs labelled source clips: a backbone with `pretrain: {dataset: ...}`"),
    ("replay", "needs the clips that the backbone was pretrained on: `pretrain: {dataset: ...}`"),
])  # fmt: skip
def test_what_is_lacking_is_called_clips(tmp_path, few, monkeypatch, strategy, why):
    monkeypatch.setattr("bench.engine.common.sources.network_as_taught", lambda ref, *_: SourceNetwork(None, 3))
    spec = dataclasses.replace(fit("pictures", strategy, few), budget=LabelBudget("full"))
    assert toys.everything(toys.context(tmp_path), spec)[1].error == why


def clips(num=6):
    draw = np.random.default_rng(1)
    return torch.from_numpy(draw.integers(-9000, 9000, (num, 400)).astype(np.int16))


def vary(values, how, seed=0, rows=None):
    return HANDLING.vary((values,), how, torch.Generator().manual_seed(seed), rows)[0]


def test_a_shift_moves_and_lets_silence_in():
    found = vary(clips(), Changes(SoundChanges(shift=0.5)))
    for before, after in zip(clips().float(), found, strict=True):
        inside = after.nonzero().flatten()
        first, last = int(inside[0]), int(inside[-1])
        offset = first if first > 0 else last - 399
        assert abs(offset) <= 200
        torch.testing.assert_close(after, torch.roll(before, offset) * (after != 0))
    assert len({tuple(row.tolist()) for row in found != 0}) > 3


def test_noise_has_a_spread_of_up_to_its_share_of_the_clip_s_own():
    whole = clips(400).float()
    shares = ((vary(whole, Changes(SoundChanges(noise=0.5))) - whole).std(1) / whole.std(1)).numpy()
    assert shares.max() < 0.56
    assert abs(shares.mean() - 0.25) < 0.03  # uniform up to a half


def test_masks_hide_stretches_of_time_and_bands_and_waves_have_no_bands():
    energies = torch.arange(40 * 16, dtype=torch.float32).view(1, 40, 16).repeat(50, 1, 1).half()
    how = SoundChanges(time_masks=1, widest=0.25)
    for axis, one in ((1, how), (2, SoundChanges(mel_masks=1, widest=0.25))):
        found = vary(energies, Changes(one))
        hidden = found != energies.float()
        lines = hidden.all(3 - axis)
        assert torch.equal(hidden.any(3 - axis), lines), "whole lines are hidden"
        widths = lines.sum(1)
        assert widths.max() == (10 if axis == 1 else 4)
        assert widths.min() == 0
    torch.testing.assert_close(vary(clips(), Changes(SoundChanges(mel_masks=3))), clips().float())


def test_views_depend_on_the_place_in_the_split_and_differ():
    how = Changes(SoundChanges(shift=0.3, noise=0.5), views=3)
    rows = torch.tensor([4, 5])
    views = torch.tensor([0, 2])
    one = HANDLING.view((clips()[:2],), how, rows, views)[0]
    turned = HANDLING.view((clips()[:2].flip(0),), how, rows.flip(0), views.flip(0))[0]
    torch.testing.assert_close(one, turned.flip(0))
    other = HANDLING.view((clips()[:2],), how, rows, torch.tensor([1, 2]))[0]
    assert not torch.equal(one[0], other[0])
    assert torch.equal(one[1], other[1])
    assert how.num_views == 3
    assert Changes().num_views == 1
    assert Changes(SoundChanges(shift=0.1)).num_views is None


def test_clips_that_are_not_changed_leave_older_keys_as_they_were():
    older = {name: value for name, value in dataclasses.asdict(toys.TRAINING).items() if value is not None}
    assert digest(toys.TRAINING) == digest(older)
    assert digest(toys.TRAINING) != digest(dataclasses.replace(toys.TRAINING, sound=CHANGED))


def test_a_rate_that_differs_is_resampled_and_length_is_the_pipeline_s():
    time = np.arange(8000) / 8000
    wave = np.round(9000 * np.sin(2 * np.pi * 440 * time)).astype(np.int16)[None]
    columns = {"wave": wave, "rate": np.full(1, 8000, np.int32)}
    found = HANDLING.prepared(columns, SoundPipeline(samples=15_600), {})[0].double()
    expected = 9000 * np.sin(2 * np.pi * 440 * (np.arange(15_600) + 200) / 16000)
    assert found.shape == (15_600,)
    assert np.abs(found.numpy() - expected)[500:-500].max() < 12
