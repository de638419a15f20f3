"""A cut network is the network, for many families at every depth; and a cut leaves all else alone."""

import copy

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.engine.reuse.cut import Cut, Whole, cut, join
from bench.network.units import Network, cut_into_units
from bench.spec.recipe import Learning
from tests.engine.cuts import (
    CLASSES,
    FAMILIES,
    SMALL,
    assert_near,
    built,
    checked,
    frozen_below,
    images_of,
    step,
)


@pytest.mark.parametrize("name", SMALL)
def test_small_families_at_every_depth(name):
    module, size = built(name)
    for depth in range(1, cut_into_units(module, coarse=True).num_units):
        found = checked(frozen_below(module, depth), size)
    assert found.live.only_head == {"test_resnet": "fc", "test_vit": "head"}[name]
    assert [f.ndim for f in found.static(images_of(2, size))] == [2]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_at_every_depth(name):
    module, size = built(name)
    for depth in range(1, cut_into_units(module, coarse=True).num_units):
        found = checked(frozen_below(module, depth), size)
        assert len(found.names) <= 2


class Logits(nn.Module):
    """An encoder of transformers as the engine takes networks: one input, logits."""

    def __init__(self, model, has_words):
        super().__init__()
        self.model, self.has_words = model, has_words

    def forward(self, x):
        return self.model(input_ids=x, attention_mask=(x > 0).long()).logits if self.has_words else self.model(x).logits


def encoders():
    """name -> (class, options, path of the stem's modules, path of the layers, shape of an input; None: words)"""
    small = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 64}
    words = {"vocab_size": 100, **small}
    sound = {"conv_dim": (16,) * 7, "num_feat_extract_layers": 7, "num_conv_pos_embeddings": 16,
             "num_conv_pos_embedding_groups": 4, "classifier_proj_size": 16, "layerdrop": 0.0}
    speech = {"d_model": 32, "encoder_layers": 4, "encoder_attention_heads": 4, "encoder_ffn_dim": 64,
              "num_mel_bins": 80, "classifier_proj_size": 16, "max_source_positions": 100}
    distil = {"vocab_size": 100, "dim": 32, "n_layers": 4, "n_heads": 4, "hidden_dim": 64}
    return {
        "Bert": ("SequenceClassification", words, ["bert.embeddings"], "bert.encoder.layer", None),
        "DistilBert": ("SequenceClassification", distil, ["distilbert.embeddings"], "distilbert.transformer.layer",
                       None),
        "Roberta": ("SequenceClassification", words, ["roberta.embeddings"], "roberta.encoder.layer", None),
        "Wav2Vec2": ("SequenceClassification", {"vocab_size": 32, **sound, **small},
                     ["wav2vec2.feature_extractor", "wav2vec2.feature_projection", "wav2vec2.encoder.pos_conv_embed"],
                     "wav2vec2.encoder.layers", (4000,)),
        "Whisper": ("AudioClassification", speech, ["encoder.conv1", "encoder.conv2"], "encoder.layers", (80, 200)),
        "AST": ("AudioClassification", {"num_mel_bins": 64, "max_length": 64, **small},
                ["audio_spectrogram_transformer.embeddings"], "audio_spectrogram_transformer.layers", (64, 64)),
    }  # fmt: skip


def units_of(module, stem, layers):
    """One unit for each part of the stem and each layer, a last one for all else."""
    parts = [module.get_submodule(f"model.{name}") for name in stem]
    parts += list(module.get_submodule(f"model.{layers}"))
    names = {id(p): name for name, p in module.named_parameters()}
    own = [{names[id(p)]: p for p in part.parameters()} for part in parts]
    taken = {name for one in own for name in one}
    own.append({name: p for name, p in module.named_parameters() if name not in taken})
    inside = {id(child) for part in parts for child in part.modules()}
    rest = tuple(child for child in module.modules() if id(child) not in inside)
    return Network(
        module, tuple(str(n) for n in range(len(own))), tuple(own), ((),) * len(own),
        (*(tuple(part.modules()) for part in parts), tuple(c for c in rest if not any(True for _ in c.children()))),
    )  # fmt: skip


@pytest.mark.parametrize("name", encoders())
def test_encoders_of_words_and_sound_at_every_depth(name):
    transformers = pytest.importorskip("transformers")
    kind, options, stem, layers, shape = encoders()[name]
    torch.manual_seed(0)
    config = getattr(transformers, f"{name}Config")(num_labels=CLASSES, **options)
    model = getattr(transformers, f"{name}For{kind}")(config).double()
    module = Logits(model, shape is None)
    network = units_of(module, stem, layers)
    draw = torch.Generator().manual_seed(0)

    def inputs(number):
        if shape is not None:
            return torch.randn(number, *shape, dtype=torch.float64, generator=draw)
        found = torch.randint(5, 90, (number, 11), generator=draw)
        found[1, 7:] = 0
        return found

    for depth in range(1, network.num_units):
        module.train()
        network.set_active(Learning(tuple(unit >= depth for unit in range(network.num_units))))
        found = cut(network, inputs(3))
        assert isinstance(found, Cut), found.reason
        x = inputs(4)
        features = found.static(x)
        whole, gradients = step(module, [x], module)
        logits, others = step(found.live, features, module)
        assert_near(logits, whole, "logits")
        largest = max(g.abs().max().item() for g in gradients.values() if g is not None)
        for key, gradient in gradients.items():
            if gradient is None or key in found.frozen:
                assert others[key] is None, key
            else:
                assert_near(others[key], gradient, key, floor=1e-6 * largest)
        assert len(found.names) <= 3


def test_units_that_are_in_training_mode_are_not_frozen():
    module, size = built("test_resnet")
    network = frozen_below(module, 3)
    module.layer2[0].bn1.train()
    before = module.layer2[0].bn1.running_mean.clone()
    found = checked(network, size)
    assert all(name.startswith(("stem", "conv1", "layer1", "maxpool")) for name in found.names)
    assert not torch.equal(before, module.layer2[0].bn1.running_mean)


def test_nothing_is_frozen():
    module, size = built("test_resnet")
    network = frozen_below(module, 1)
    next(iter(network.parameters[0].values())).requires_grad_(True)
    assert cut(network, images_of(2, size)) == Whole("something learns in its first unit")


def test_the_network_is_left_as_it_was():
    module, size = built("test_resnet")
    network = frozen_below(module, 3)
    state = copy.deepcopy(module.state_dict())
    flags = [m.training for m in module.modules()]
    wanted = [p.requires_grad for p in module.parameters()]
    held = [dict(vars(m)) for m in module.modules()]
    drawn, images = torch.get_rng_state(), images_of(2, size)
    kept = images.clone()
    found = cut(network, images)
    assert isinstance(found, Cut)
    assert all(torch.equal(state[key], value) for key, value in module.state_dict().items())
    with torch.no_grad():
        found.live(*found.static(images))
    assert torch.equal(drawn, torch.get_rng_state())
    assert torch.equal(images, kept)
    assert flags == [m.training for m in module.modules()]
    assert wanted == [p.requires_grad for p in module.parameters()]
    assert [vars(m).keys() for m in module.modules()] == [one.keys() for one in held]
    assert all(p.grad is None for p in module.parameters())


def test_depths_joined_cost_one_pass(monkeypatch):
    module, size = built("test_resnet")
    cuts = [cut(frozen_below(module, depth), images_of(2, size))
            for depth in range(1, cut_into_units(module, coarse=True).num_units)]  # fmt: skip
    joint, images = join(cuts), images_of(3, size)
    values = dict(zip(joint.names, joint(images), strict=True))
    for one in cuts:
        for name, feature in zip(one.names, one.static(images), strict=True):
            assert_near(values[name], feature, name)
    calls, convolve = [], F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *args, **kwargs: calls.append(1) or convolve(*args, **kwargs))
    cuts[0].static(images)
    shallow = len(calls)
    cuts[-1].static(images)
    deep = len(calls) - shallow
    joint(images)
    assert len(calls) == shallow + 2 * deep
    assert 0 < shallow < deep, "nothing behind the last feature is computed"


def test_the_live_part_takes_parameters_from_outside():
    """As replicas in a fleet do."""
    module, size = built("test_vit")
    found = cut(frozen_below(module, 3), images_of(2, size))
    images = images_of(3, size)
    module.eval()
    features = found.static(images)
    assert dict(found.live.named_parameters()) == dict(module.named_parameters())
    frozen = set(found.frozen)
    moved = {name: p.detach() + 0.1 for name, p in module.named_parameters() if name not in frozen}
    expected = functional_call(module, moved, (images,))
    assert_near(functional_call(found.live, moved, features), expected, "logits")
    twin = copy.deepcopy(found.live)
    assert_near(twin(*features), module(images), "a copy of its own")
    with torch.no_grad():
        next(p for name, p in twin.named_parameters() if name not in frozen).add_(1)
    assert_near(found.live(*features), module(images), "the first, which the copy does not move")
