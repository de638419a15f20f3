"""All that is written of a winner: the network, how examples become its input, its classes, its card and a script."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from bench.engine.train.evaluate import Scored, score
from bench.engine.train.inputs import Direct, Inputs
from bench.engine.train.precision import arithmetic
from bench.errors import BenchError
from bench.execute.display import duration
from bench.execute.roots import Roots
from bench.network.capture import in_eval_mode
from bench.planning.plan import Cell, Plan
from bench.spec.job import FitSpec
from bench.spec.refs import WORDS, TextPipeline
from bench.store import Record
from bench.text import note
from bench.winner import inputs, network
from bench.winner.again import Trained, record_of, seconds_of, train_again, trained_together
from bench.winner.card import card
from bench.winner.check import Check, check
from bench.winner.choice import Choice
from bench.winner.network import Described

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Package:
    files: dict[str, bytes]
    described: Described
    check: Check
    record: Record


def package(plan: Plan, choice: Choice, repeat: int, roots: Roots) -> Package:
    """Raises BenchError where this strategy leaves no network that could be handed on."""
    record = record_of(choice.cell, repeat, roots.store)
    spec = plan.jobs[record.key].spec
    assert isinstance(spec, FitSpec)
    if why := network.why_not(spec):
        raise BenchError(f"{choice.name} has no network to write: {why}; choose another strategy with --strategy")
    jobs = trained_together(plan, choice.cell, record)
    note(f"training {choice.name} again, repeat {repeat}; it took {duration(seconds_of(jobs, roots.store))} before")
    made = train_again(plan, jobs, record, roots)
    described, module = network.describe(made.spec, made.network, made.head, _strategy(choice.cell, record))
    tensors = network.packed(module)
    found = check(_scored(network.from_packed(described, tensors), made), made, roots.store)
    files = {
        network.STATE: tensors,
        network.DESCRIPTION: _json(asdict(described)),
        inputs.HOW: _json(inputs.preprocessing(made.spec, made.stored)),
        "labels.json": _json(list(made.data.classes)),
        **_tokenizer(made, plan),
        "use.py": (HERE / f"use_{described.built_by}.py").read_bytes(),
        "model_card.md": card(plan, choice, made, described, found).encode(),
    }
    return Package(files, described, found, record)


def _scored(module: nn.Module, made: Trained) -> Scored:
    """On the test examples, in the arithmetic of its training."""
    test, precision = made.data.test, made.spec.training.precision
    module.to(test.device)

    def logits_of(values: Inputs) -> Tensor:
        with arithmetic(test.device, precision):
            logits: Tensor = module(values[0][0])
        return logits[None]

    with in_eval_mode(module):
        (scored,) = score(logits_of, test, Direct(made.spec.pipeline))
    return scored


def _strategy(cell: Cell, record: Record) -> dict[str, Any]:
    """Name and options, those that its search chose too."""
    named, final = cell.declared.strategy, record.final
    assert final is not None
    return {"name": named.name, "options": {**named.options, **final.options}}


def _tokenizer(made: Trained, plan: Plan) -> dict[str, bytes]:
    pipeline = made.spec.pipeline
    if not isinstance(pipeline, TextPipeline) or pipeline.tokenizer.startswith(WORDS):
        return {}
    return {inputs.TOKENIZER: plan.weights_files[pipeline.tokenizer].read_bytes()}


def _json(value: Any) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()
