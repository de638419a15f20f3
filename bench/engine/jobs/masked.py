"""Pretraining by masked tokens: no label is read, and the score is the share of hidden tokens that are filled in."""

import torch

from bench.engine.common.context import OnDevice
from bench.engine.train.evaluate import BATCH
from bench.engine.train.loop import Assignment, Outcome, Session, Stream
from bench.engine.train.setting import SourceNetwork, TrainingSetting
from bench.engine.train.solo import Solo
from bench.engine.train.stage import plain_stages
from bench.errors import NotApplicable
from bench.keys import seed_for
from bench.modalities.tokens import mask_of
from bench.network.capture import in_eval_mode
from bench.network.masked import Filler, fill, hidden_tokens
from bench.network.units import Network
from bench.store.results import Point


def learn_masked(network: Network, task: Assignment, data: OnDevice) -> tuple[Outcome, list[Point], int]:
    """In place; what became of it, its score on the test texts, and of how many tokens that is."""
    start = {name: tensor.detach().clone() for name, tensor in network.module.state_dict().items()}
    setting = TrainingSetting(network, start, data.train, task.pipeline, task.training, task.order_seed,
                              data.train.whole, _no_source)  # fmt: skip
    team = Solo(network, task.procedure, task.hyper, setting=setting)
    session = Session(team, plain_stages(network, task.procedure), [Stream(task.images, task.order_seed)])
    session.advance(task.training.steps, set())
    outcome = session.outcomes[0][0]
    if outcome.diverged_at is not None:
        return outcome, [], 0
    assert isinstance(team.beside, Filler)
    point, num = _filled(network, team.beside, task, data)
    return outcome, [point], num


def _no_source() -> SourceNetwork:
    raise NotApplicable("a pretraining has no source")


@torch.no_grad()
def _filled(network: Network, filler: Filler, task: Assignment, data: OnDevice) -> tuple[Point, int]:
    """Of the test texts the same tokens are hidden, whoever fills them in."""
    draw = torch.Generator().manual_seed(seed_for("masked test tokens"))
    test, mask = data.test, mask_of(task.pipeline)
    loss, num_right, num = 0.0, 0, 0
    with in_eval_mode(network.module):
        for rows in torch.split(torch.arange(len(test)), BATCH):
            tokens = test.take(rows).inputs(task.pipeline)
            one = fill(network.module, filler, *hidden_tokens(tokens, mask, len(filler.bias), draw))
            loss, num_right, num = loss + float(one.loss) * one.num, num_right + one.num_right, num + one.num
    num = max(1, num)
    return Point(task.training.steps, None, num_right / num, loss / num), num
