"""What does not fit: images that stay in their file, batches in pieces, and what is refused rather than changed."""

import dataclasses

import pytest
import torch

from bench.engine.common.context import OnDevice
from bench.engine.fleet.calibrate import FleetChoice
from bench.engine.fleet.forms import vmap_form
from bench.engine.fleet.together import narrower
from bench.engine.train.evaluate import evaluate
from bench.engine.train.examples import Examples
from bench.engine.train.loop import Session, Stream, train
from bench.engine.train.solo import Solo
from bench.engine.train.stage import Stage, plain_stages
from bench.spec.refs import BackboneRef, Weights
from tests.engine import toys

pytestmark = [pytest.mark.usefixtures("tiny")]


@pytest.mark.parametrize("changes", [{}, {"flip": True, "shift": 1}, {"shift": 1, "views": 2}])
@pytest.mark.parametrize("strategy", ["linear_probe", "full_finetune"])
def test_images_from_a_file_are_the_same_images(tmp_path, monkeypatch, changes, strategy):
    training = dataclasses.replace(toys.TRAINING, **changes)
    spec = toys.fit_spec(recipe=toys.recipe(strategy, 6), training=training)
    found = []
    for name, room in (("resident", 1 << 30), ("streamed", 0)):
        monkeypatch.setattr("bench.engine.common.context.RESIDENT_BYTES", room)
        context = toys.context(tmp_path / name)
        assert context.data(toys.DATA).train.is_streamed == (room == 0)
        trials, final = toys.everything(context, spec)
        found.append([toys.metrics(record) for record in (*trials, final)])
    assert found[0] == found[1]


def test_a_part_of_streamed_images_is_streamed():
    arrays = toys.tiny_load(toys.TinyOptions()).train
    images = Examples.mapped(arrays, torch.device("cpu"))
    part = images.take(torch.tensor([5, 3])).take(torch.tensor([1]))
    assert part.is_streamed
    assert torch.equal(part.values[0][0], torch.from_numpy(arrays.images[3].copy()).permute(2, 0, 1))


NO_ROOM = torch.OutOfMemoryError("no room")
ALSO_NO_ROOM = [NO_ROOM, torch.AcceleratorError("CUDA error: out of memory"), MemoryError()]


class Narrow(torch.nn.Module):
    """A network with room for so many images at once."""

    def __init__(self, inner, room, error=NO_ROOM):
        super().__init__()
        self.inner, self.room, self.error, self.sizes = inner, room, error, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.room:
            raise self.error
        return self.inner(x)


def narrow_session(net, task, room, error=NO_ROOM):
    narrow = Narrow(net.module, room, error)
    plain = plain_stages(net, task.procedure)(0)
    stage = Stage(narrow, plain.feed, plain.plain)
    stream = Stream(task.images, task.order_seed)
    return narrow, Session(Solo(net, task.procedure, task.hyper), lambda phase: stage, [stream])


@pytest.mark.parametrize(("room", "piece"), [(8, 8), (7, 4), (3, 2), (1, 1)])
def test_a_batch_in_pieces_is_the_same_batch(double, room, piece):
    task = toys.assignment(toys.recipe("linear_probe", 5), {"steps": 6, "label_smoothing": 0.1})
    plain, net = toys.network("toy_vit"), toys.network("toy_vit")
    train(plain, task)
    narrow, session = narrow_session(net, task, room)
    session.advance(6, set())
    assert narrow.sizes[-1] == piece
    assert session.outcomes[0][0].samples == 6 * 8
    for name, tensor in plain.module.state_dict().items():
        torch.testing.assert_close(net.module.state_dict()[name], tensor, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("error", ALSO_NO_ROOM)
def test_a_batch_is_cut_however_the_lack_of_memory_is_told(error):
    task = toys.assignment(toys.recipe("linear_probe", 5), {"steps": 1})
    narrow, session = narrow_session(toys.network("toy_vit"), task, 4, error)
    session.advance(1, set())
    assert narrow.sizes[-1] == 4


@pytest.mark.parametrize("error", ALSO_NO_ROOM)
def test_a_fleet_is_halved_however_the_lack_of_memory_is_told(error):
    assert narrower(FleetChoice(8, "vmap"), error, 6) == FleetChoice(3, "vmap")
    assert narrower(FleetChoice(8, "vmap"), RuntimeError("shapes differ"), 6) == FleetChoice()


def test_a_network_that_finds_no_room_still_has_a_form():
    narrow = Narrow(toys.network("toy_vit").module, 0, ALSO_NO_ROOM[1])
    with pytest.raises(torch.AcceleratorError):
        vmap_form(narrow, toys.images("test").take(torch.arange(4)).inputs(toys.PIPELINE)[None])


def test_no_other_error_cuts_a_batch():
    task = toys.assignment(toys.recipe("linear_probe", 5), {"steps": 1})
    narrow, session = narrow_session(toys.network("toy_vit"), task, 4, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        session.advance(1, set())
    assert narrow.sizes == [8]


def test_a_batch_that_batchnorm_sees_is_never_cut():
    task = toys.assignment(toys.recipe("full_finetune", 6), {"steps": 2})
    narrow, session = narrow_session(toys.network(), task, 4)
    with pytest.raises(torch.OutOfMemoryError):
        session.advance(2, set())
    assert narrow.sizes == [8]


@pytest.mark.parametrize("error", ALSO_NO_ROOM)
def test_scoring_takes_smaller_batches_where_it_must(error):
    net = toys.network("toy_vit")
    images = toys.images("test")
    narrow = Narrow(net.module, 10, error)
    pieces, plain = evaluate(narrow, images, toys.PIPELINE, 64), evaluate(net.module, images, toys.PIPELINE, 8)
    assert (pieces.score, pieces.loss, pieces.predicted.tolist()) == (plain.score, plain.loss, plain.predicted.tolist())
    assert sum(size for size in narrow.sizes if size <= 10) == 103


@pytest.mark.parametrize("strategy", ["linear_probe", "freeze", "full_finetune"])
def test_low_precision_stays_near_full_precision(tmp_path, strategy):
    options = {"upto": 3} if strategy == "freeze" else {}
    scores = {}
    for precision in ("fp32", "bf16"):
        spec = toys.fit_spec(
            recipe=toys.recipe(strategy, 6, **options),
            backbone=BackboneRef("toy_conv", {}, "coarse", Weights("random")),
            # oneDNN with AMX gives NaN gradients for a 3x3 convolution of stride 2 on maps of one pixel.
            pipeline=dataclasses.replace(toys.PIPELINE, image_size=32),
            training=dataclasses.replace(toys.TRAINING, precision=precision, steps=60),
        )
        trials, final = toys.everything(toys.context(tmp_path / precision), spec)
        scores[precision] = final.result
        assert {record.status for record in trials} == {"ok"}
    assert scores["bf16"]["loss"] == pytest.approx(scores["fp32"]["loss"], rel=0.2, abs=0.1)
    assert scores["bf16"]["loss"] != scores["fp32"]["loss"]
    assert abs(scores["bf16"]["score"] - scores["fp32"]["score"]) < 0.1


def test_the_tables_of_another_arithmetic_are_others(tmp_path):
    context = toys.context(tmp_path)
    for precision in ("fp32", "bf16"):
        training = dataclasses.replace(toys.TRAINING, precision=precision)
        toys.everything(context, toys.fit_spec(recipe=toys.recipe("linear_probe", 6), training=training))
    assert context.features.computed == 4
    assert isinstance(context.data(toys.DATA), OnDevice)
