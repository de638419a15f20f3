"""YAMNet: its layers against a formula by hand, its front end against numpy, and networks for pictures on log-mel."""

import dataclasses

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from bench.backbones.base import BackboneFacts
from bench.backbones.yamnet import BACKBONE
from bench.errors import BenchError
from bench.modalities.mel import filters, log_mel, num_frames
from bench.modalities.sound import MODALITY, PICTURE
from bench.network.build import build_network
from bench.planning.probe import facts_for
from bench.spec.refs import BackboneRef, Mel, Weights
from bench.suite.schema import BackboneSpec


def test_units_are_its_fourteen_layers_and_the_head():
    network = build_network(BackboneRef("yamnet", {}, "coarse", Weights("random")), 521, 1)
    assert network.unit_names == BACKBONE.facts.unit_names
    assert network.num_units == 15


def test_padding_is_tensorflow_s():
    """SAME with stride 2 and an even side: the one zero goes behind the end; with an odd side one to each."""
    network = BACKBONE.build(5, BACKBONE.options())
    for frames, before, behind in ((96, 0, 1), (131, 1, 1)):
        x = torch.randn(2, 1, frames, 64)
        stem = network.layer1[1](F.pad(x, (0, 1, before, behind))).relu()
        torch.testing.assert_close(network.layer1(x), stem)
    assert network(x).shape == (2, 5)


def test_log_mel_energies_by_hand():
    draw = np.random.default_rng(0)
    wave = draw.normal(size=15_600) * 0.1
    found = log_mel(torch.from_numpy(wave)[None], 16_000, Mel())[0].numpy()
    assert found.shape == (96, 64) == (num_frames(15_600, Mel()), 64)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    magnitude = np.abs(np.fft.rfft(wave[160 * 7 : 160 * 7 + 400] * window, 512))
    edges = 700 * (np.exp(np.linspace(*(1127 * np.log1p(np.array([125, 7500]) / 700)), 66) / 1127) - 1)

    def mel(hertz):
        return 1127 * np.log1p(hertz / 700)

    bins = np.arange(257) * 16_000 / 512
    for band in (0, 20, 63):
        low, centre, high = mel(edges[band : band + 3])
        up, down = (mel(bins) - low) / (centre - low), (high - mel(bins)) / (high - centre)
        energy = (magnitude * np.minimum(up, down).clip(0)).sum()
        assert found[7, band] == pytest.approx(np.log(energy + 1e-3), abs=1e-9)


def test_slaney_s_triangles_are_those_of_transformers():
    from transformers.audio_utils import mel_filter_bank

    theirs = mel_filter_bank(201, 80, 0.0, 8000.0, 16_000, norm="slaney", mel_scale="slaney")
    ours = filters(16_000, Mel(400, 160, 400, 80, 0.0, 8000.0, "slaney")).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


@pytest.mark.parametrize(("milliseconds", "samples"), [(400, 15_600), (975, 15_600), (2000, 32_000)])
def test_its_input_is_as_long_as_the_set_s_clips_and_no_shorter_than_a_patch(milliseconds, samples):
    data = dataclasses.make_dataclass("Data", ["image_size"])(milliseconds)
    assert MODALITY.pipeline_for(None, BACKBONE.facts, data).samples == samples


def facts_of(tmp_path, **fields):
    (found,) = facts_for([(BackboneSpec(**fields), None)], tmp_path)
    return found


def test_a_network_for_pictures_may_be_shown_sound(tmp_path):
    found = facts_of(tmp_path, name="small_resnet", takes="log_mel")
    assert isinstance(found, BackboneFacts)
    assert (found.modality, found.takes) == ("sound", PICTURE)
    assert facts_of(tmp_path, name="small_resnet", takes="log_mel", image_size=48).takes.side == 48
    assert facts_of(tmp_path, name="small_resnet").modality == "image"


def test_a_network_for_sound_needs_no_such_thing(tmp_path):
    found = facts_of(tmp_path, name="yamnet", takes="log_mel")
    assert isinstance(found, BenchError)
    assert str(found) == "backbone 'yamnet': `takes: log_mel` is for networks for pictures, and this one takes sound"
