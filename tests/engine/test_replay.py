"""A cut network is the network: logits, gradients, statistics, for many families; and what cannot be cut says why."""

import copy
import random

import numpy as np
import pytest
import timm
import torch
from torch import nn
from torch.func import functional_call
from torch.nn import functional as F

from bench.engine.replay import Cut, Static, Whole, cut, join
from bench.network.units import Network, cut_into_units
from bench.spec.recipe import Learning

torch.set_num_threads(1)

CLASSES, SIZE = 5, 8
SMALL = {"test_resnet": 48, "test_vit": 32}  # timm's, under half a million weights
# name -> image size, options
FAMILIES: dict[str, tuple[int, dict[str, object]]] = {
    "resnet18": (48, {}),
    "vit_tiny_patch16_224": (32, {"img_size": 32, "drop_path_rate": 0.2, "attn_drop_rate": 0.1}),
    "convnext_atto": (32, {"drop_path_rate": 0.2}),
    "efficientnet_b0": (48, {"drop_path_rate": 0.2, "drop_rate": 0.2}),
    "densenet121": (64, {}),
    "swin_tiny_patch4_window7_224": (56, {"img_size": 56, "drop_path_rate": 0.2}),
    "mobilenetv3_small_100": (48, {}),
    "regnety_002": (48, {}),
    "mixer_s32_224": (224, {}),
    "deit_tiny_patch16_224": (32, {"img_size": 32}),
    "maxvit_rmlp_nano_rw_256": (256, {}),
    "levit_128s": (224, {}),
    "mobilevit_xxs": (64, {}),
    "resnext50_32x4d": (48, {}),
    "vgg11": (32, {}),
}


def images_of(number, size=SIZE, seed=0):
    return torch.randn(number, 3, size, size, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def calibrated(module, size):
    """In double precision, with weights that hide no mistake: as built, biases and layer scales are 0 or 1."""
    draw = torch.Generator().manual_seed(1)
    module = module.double().train()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=draw, dtype=torch.float64))
        for seed in range(2):
            module(images_of(4, size, 10 + seed))
    return module


def built(name, **options):
    torch.manual_seed(0)
    size, standard = (SMALL[name], {}) if name in SMALL else FAMILIES[name]
    return calibrated(timm.create_model(name, num_classes=CLASSES, **standard, **options), size), size


def frozen_below(module, depth):
    network = cut_into_units(module, coarse=True)
    module.train()
    network.set_active(Learning(tuple(unit >= depth for unit in range(network.num_units))))
    return network


def assert_near(got, expected, what, floor=0.0):
    scale = max(expected.abs().max().item(), floor)
    assert got.shape == expected.shape, what
    assert (got - expected).abs().max().item() <= 1e-9 * scale, what


def step(run, inputs, owner):
    """Logits, and the gradients of a sum of them in which each has a weight of its own."""
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002 - transformers masks parts of sound with numpy's own generator
    owner.zero_grad(set_to_none=True)
    logits = run(*inputs)
    (logits.flatten() * torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype)).sum().backward()
    found = {name: p.grad for name, p in owner.named_parameters()}
    owner.zero_grad(set_to_none=True)
    return logits.detach(), found


def checked(network, size=SIZE):
    """A cut that does what the whole network does, for other images, and more of them, than it was made with."""
    found = cut(network, images_of(2, size))
    assert isinstance(found, Cut), found.reason
    module = network.module
    for number in (5, 3):
        images = images_of(number, size, seed=number)
        features = [f.contiguous() for f in found.static(images.clone())]
        assert all(len(f) == number and not f.requires_grad for f in features)
        whole = copy.deepcopy(module).eval()
        flags = [m.training for m in module.modules()]
        module.eval()
        with torch.no_grad():
            torch.manual_seed(4)
            got = found.live(*[f.clone() for f in features])
            torch.manual_seed(4)
            assert_near(got, whole(images.clone()), "logits in evaluation")
        for one, flag in zip(module.modules(), flags, strict=True):
            one.training = flag
    whole = copy.deepcopy(module)
    expected, by_name = step(whole, [images.clone()], whole)
    got, gradients = step(found.live, features, module)
    assert_near(got, expected, "logits in training")
    largest = max((g.abs().max().item() for g in by_name.values() if g is not None), default=0.0)
    for name, parameter in module.named_parameters():
        if parameter.requires_grad and by_name[name] is not None:
            assert_near(gradients[name], by_name[name], name, floor=1e-6 * largest)  # some are nothing but rounding
        else:
            assert gradients[name] is None, name
    for name, buffer in module.named_buffers():
        assert_near(buffer.double(), whole.get_buffer(name).double(), name)
    return found


# ------------------------------------------------------------------------------------- families


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


# ------------------------------------------------------------------------------------- traps


class Net(nn.Module):
    """`stem` and `middle` are frozen, `side` and `head` learn; `forward` is the trap."""

    def __init__(self):
        super().__init__()
        draw = torch.Generator().manual_seed(0)
        self.stem = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.middle = nn.Conv2d(4, 4, 3, padding=1)
        self.prepare()
        self.side = nn.Conv2d(4, 4, 1)
        self.head = nn.Linear(4, CLASSES)
        self.double()
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=draw, dtype=torch.float64) / 2)

    def prepare(self):
        """More of what is frozen."""

    def classify(self, x):
        return self.head(x.mean((2, 3)))


def network_of(module, first="side"):
    """A unit for each child; those before `first` are frozen."""
    module.train()
    names = [name for name, _ in module.named_children()]
    children = [dict(module.named_children())[name] for name in names]
    network = Network(
        module, tuple(names),
        tuple({f"{n}.{k}": p for k, p in child.named_parameters()} for n, child in zip(names, children, strict=True)),
        tuple(tuple(f"{n}.{k}" for k, _ in child.named_buffers()) for n, child in zip(names, children, strict=True)),
        tuple(tuple(child.modules()) for child in children),
    )  # fmt: skip
    network.set_active(Learning(tuple(unit >= names.index(first) for unit in range(len(names)))))
    return network


def refused(module, **options):
    found = cut(network_of(module, **options), images_of(2))
    assert isinstance(found, Whole)
    assert "\n" not in found.reason
    return found.reason


def test_a_network_that_raises_runs_whole():
    class Raises(Net):
        def forward(self, x):
            raise KeyError("first line\nsecond line")

    assert refused(Raises()) == r"could not be cut: KeyError: 'first line\nsecond line'"


def test_what_comes_after_noise_is_not_kept():
    class Middle(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.side(self.middle(F.relu(x + torch.randn_like(x)))))

    found = checked(network_of(Middle()))
    assert found.names == ("stem:0:0",)

    class Input(Net):
        def forward(self, x):
            return self.classify(self.side(self.stem(x + torch.rand_like(x))))

    assert refused(Input()) == "no frozen module comes to the same in every step"


def test_noise_that_nothing_reads_moves_the_generator():
    class Idle(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            torch.rand_like(x)
            return self.classify(F.dropout(self.side(x), 0.5, training=True))

    checked(network_of(Idle()))


def test_numbers_drawn_by_python_are_put_back():
    class Draws(Net):
        def forward(self, x):
            random.random()
            return self.classify(self.side(self.middle(self.stem(x))))

    before = random.getstate()
    assert isinstance(cut(network_of(Draws()), images_of(2)), Cut)
    assert random.getstate() == before


def test_a_frozen_value_that_is_overwritten_in_place():
    class After(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            early = x + 1
            x.relu_()
            return self.classify(early * self.side(x))

    assert checked(network_of(After())).names == ("middle:0:0",)

    class Before(Net):
        def forward(self, x):
            x = self.stem(x)
            early = x * 2
            return self.classify(early * self.side(self.middle(x.relu_())))

    assert checked(network_of(Before())).names == ("stem:0:0", "middle:0:0")

    class Module(Net):
        """What the live part reads of the stem is what the module behind it has overwritten."""

        def prepare(self):
            self.act = nn.ReLU(inplace=True)

        def forward(self, x):
            x = self.stem(x)
            y = self.middle(self.act(x))
            return self.classify(x * self.side(y))

    assert refused(Module()).startswith("the live part reads something else before the cut in ")


def test_the_features_stay_as_they_were():
    class Adds(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            x.add_(self.side(x))
            return self.classify(x)

    network = network_of(Adds())
    found = cut(network, images_of(2))
    images = images_of(3)
    kept = images.clone()
    (features,) = found.static(images)
    assert torch.equal(images, kept)
    assert torch.equal(features, network.module.middle(network.module.stem(images)))


def test_a_module_that_is_called_again_by_what_learns():
    class Again(Net):
        def forward(self, x):
            return self.classify(self.middle(self.side(self.middle(self.stem(x)))))

    assert checked(network_of(Again())).names == ("middle:0:0",)


def test_a_frozen_module_behind_what_learns_keeps_its_gradient():
    """`middle` is frozen and reads `side`: only the stem can be kept."""

    class Behind(Net):
        def forward(self, x):
            return self.classify(self.middle(self.side(self.stem(x))))

    assert checked(network_of(Behind())).names == ("stem:0:0",)


def test_images_of_a_batch_that_are_mixed():
    class Mean(nn.Module):
        def forward(self, x):
            return x - x.mean(0, keepdim=True)

    class Mixes(Net):
        def prepare(self):
            self.mean = Mean()

        def forward(self, x):
            return self.classify(self.side(self.mean(self.stem(x))))

    assert refused(Mixes()) == "what it computes of an image depends on the others of the batch"


class Windows(nn.Module):
    """[B, 4, 8, 8] -> [4 * B, 4, 4, 4]; `across`: the windows of an image lie far apart."""

    def __init__(self, across):
        super().__init__()
        self.across = across

    def forward(self, x):
        parts = x.unflatten(2, (2, 4)).unflatten(4, (2, 4)).permute(0, 2, 4, 1, 3, 5)
        parts = parts.flatten(1, 2)
        return (parts.transpose(0, 1) if self.across else parts).flatten(0, 1)


@pytest.mark.parametrize("across", [False, True])
def test_windows_are_features_of_their_image(across):
    class Cuts(Net):
        def prepare(self):
            self.windows = Windows(across)

        def forward(self, x):
            x = self.side(self.windows(self.stem(x)))
            x = x.unflatten(0, (4, -1)).transpose(0, 1) if across else x.unflatten(0, (-1, 4))
            return self.head(x.mean((1, 3, 4)))

    if across:
        assert refused(Cuts()) == "what it computes of an image depends on the others of the batch"
    else:
        assert [f.shape[1:] for f in checked(network_of(Cuts())).static(images_of(3))] == [(4, 4, 4, 4)]


def test_tuples_and_other_values():
    class Two(nn.Module):
        def forward(self, x):
            return {"twice": 2 * x, "name": "two", "rest": [x + 1, None]}

    class Reads(Net):
        def prepare(self):
            self.two = Two()

        def forward(self, x):
            found = self.two(self.stem(x))
            assert found["name"] == "two"
            return self.classify(self.side(found["twice"]) * found["rest"][0])

    assert len(checked(network_of(Reads())).names) == 2


def test_statistics_that_learn_from_the_live_part():
    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

        def forward(self, x):
            x = self.middle(self.stem(x)) - self.mean
            if self.training:
                self.mean.add_(x.mean())
            return self.classify(self.side(x))

    checked(network_of(Keeps()))


def test_statistics_of_what_lies_before_the_cut():
    class Keeps(Net):
        def prepare(self):
            self.register_buffer("mean", torch.zeros((), dtype=torch.float64))

        def forward(self, x):
            if self.training:
                self.mean.add_(x.mean())
            return self.classify(self.side(self.middle(self.stem(x))))

    assert checked(network_of(Keeps())).names == ("middle:0:0", "input")


def test_another_way_in_training():
    class Deeper(Net):
        def forward(self, x):
            x = self.stem(x)
            return self.classify(self.side(self.middle(x) if self.training else x))

    assert refused(Deeper()) == "training and evaluation call different frozen modules"


def test_a_gradient_that_is_stopped_inside():
    class Stops(Net):
        def forward(self, x):
            x = self.side(self.middle(self.stem(x)))
            with torch.no_grad():
                gate = x.sigmoid()
            return self.classify(x * gate)

    checked(network_of(Stops()))


def test_more_than_logits():
    class Two(Net):
        def forward(self, x):
            x = self.side(self.stem(x))
            return self.classify(x), x

    assert refused(Two()) == "it returns more than logits"


def test_a_value_remembered_in_evaluation():
    """As LeViT keeps its attention biases, made from parameters that learn, until `train` is called."""

    class Remembers(Net):
        def prepare(self):
            self.kept = {}

        def train(self, mode=True):
            self.kept = {}
            return super().train(mode)

        def forward(self, x):
            bias = self.side.bias[:, None, None] * 2
            if not self.training:
                bias = self.kept.setdefault("bias", bias)
            return self.classify(self.stem(x) + bias)

    checked(network_of(Remembers()))


def test_an_activation_that_serves_twice():
    """Cuts at two depths want the first and the second of its outputs."""

    class Shares(Net):
        def prepare(self):
            self.act = nn.Tanh()

        def forward(self, x):
            return self.classify(self.side(self.act(self.middle(self.act(self.stem(x))))))

    network = network_of(Shares())
    found = checked(network)
    assert found.names == ("act:1:0",)
    module, images = network.module, images_of(3)
    first = next(call for call in found.live._replay.static if call.name == ("act", 0))
    both = Static(module, (first, *found.static.calls), False)
    one, two = both(images)
    assert_near(one, module.act(module.stem(images)), "the first")
    assert_near(two, module.act(module.middle(one)), "the second")


def test_what_depends_on_the_size_of_the_batch_is_not_frozen_at_one_size():
    class Sized(nn.Module):
        def forward(self, x):
            return x, len(x)

    class Divides(Net):
        def prepare(self):
            self.sized = Sized()

        def forward(self, x):
            x, num = self.sized(self.stem(x))
            return self.classify(self.side(x)) / num

    assert refused(Divides()) == "sized puts out something else for other sizes of a batch"


def test_a_head_that_is_not_all_there_is_in_evaluation():
    class Tempered(Net):
        def prepare(self):
            self.pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())

        def forward(self, x):
            y = self.head(self.pool(self.stem(x)))
            return y if self.training else y / 3

    assert checked(network_of(Tempered(), first="head")).live.only_head is None


def test_a_table_is_laid_out_as_the_module_would():
    """Rows of places, as transformers' stems put them out: a random mask follows the order in memory."""

    class Rows(nn.Module):
        def forward(self, x):
            return x.flatten(2).transpose(1, 2)

    class Drops(Net):
        def prepare(self):
            self.rows = Rows()

        def forward(self, x):
            x = F.dropout(self.rows(self.stem(x)), 0.5, self.training)
            return self.head(x.mean(1))

    checked(network_of(Drops()))


def test_what_the_network_writes_to_is_its_own():
    class Adds(Net):
        def forward(self, x):
            x = self.middle(self.stem(x))
            x += self.side(x)
            return self.classify(x)

    found, images = cut(network_of(Adds()), images_of(2)), images_of(3)
    features = found.static(images)
    kept = [one.clone() for one in features]
    found.live(*features)
    assert all(map(torch.equal, features, kept))


def test_a_table_of_positions_is_made_again():
    """The last frozen module to be called needs no images."""

    class Positions(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Parameter(torch.zeros(1, 4, 8, 8))

        def forward(self):
            return 2 * self.table

    class Adds(Net):
        def prepare(self):
            self.positions = Positions()

        def forward(self, x):
            return self.classify(self.side(self.stem(x) + self.positions()))

    assert checked(network_of(Adds())).names == ("stem:0:0",)


def test_nothing_is_remembered_of_weights_that_were_moved():
    class Remembers(Net):
        def prepare(self):
            self.kept = []

        def forward(self, x):
            self.kept.append(float(self.side.weight.sum()))
            return self.classify(self.side(self.middle(self.stem(x))))

    network = network_of(Remembers())
    assert isinstance(cut(network, images_of(2)), Cut)
    assert network.module.kept == []


def test_a_mistake_behind_a_head_of_zeros_is_found(monkeypatch):
    """Logits of a fresh head are zeros, whatever it is given."""

    class Plain(Net):
        def forward(self, x):
            return self.classify(self.side(self.middle(self.stem(x))))

    network = network_of(Plain())
    with torch.no_grad():
        network.module.head.weight.zero_()
        network.module.head.bias.zero_()
    checked(network)
    from bench.engine import replay

    right = replay.Static.__call__
    monkeypatch.setattr(replay.Static, "__call__", lambda self, images: tuple(f + 1e-2 for f in right(self, images)))
    assert refused(network.module).startswith("the live part reads something else before the cut in ")


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


def test_an_error_in_the_middle_leaves_no_answers_behind():
    class Plain(Net):
        fails = False

        def forward(self, x):
            x = self.middle(self.stem(x))
            if self.fails:
                raise RuntimeError("in the middle")
            return self.classify(self.side(x))

    network = network_of(Plain())
    found, images = cut(network, images_of(2)), images_of(3)
    features = found.static(images)
    expected = found.live(*features)
    network.module.fails = True
    with pytest.raises(RuntimeError, match="in the middle"):
        found.live(*features)
    network.module.fails = False
    assert "forward" not in vars(network.module.stem)
    assert_near(network.module(images), expected, "the whole network")


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


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=["rows", "channels last"])
def test_dropout_behind_the_cut_draws_in_the_order_of_the_networks_memory(layout):
    class Drops(Net):
        def forward(self, x):
            return self.classify(self.side(F.dropout(self.middle(self.stem(x)), 0.5, self.training)))

    module = Drops().to(memory_format=layout)
    network = network_of(module)
    images = images_of(4).contiguous(memory_format=layout)
    found = cut(network, images)
    torch.manual_seed(1)
    whole = module(images)
    torch.manual_seed(1)
    assert_near(found.live(*[value.contiguous() for value in found.static(images)]), whole, "logits")
