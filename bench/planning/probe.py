"""Facts about networks that only their libraries know: units, image size, mean and std. Asked where torch is, once.

`facts_for` keeps the answers in a cache folder, so that `plan` stays free of torch and quick. A fork of the server that
workers come from too looks at the models (`_answers`).
"""

import contextlib
import dataclasses
import io
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from bench import backbones, fork_server, modalities
from bench.backbones import torchvision_names
from bench.backbones.base import BackboneFacts, Found
from bench.errors import BenchError
from bench.keys import digest
from bench.modalities.sound import PICTURE
from bench.store.remembered import recall, remember
from bench.suite.schema import BackboneSpec
from bench.text import note

CUT = 6  # bumped when `units.py` cuts or names units otherwise: older answers are asked again
CLASSES = 7  # of the network that is looked at: a number that no layer of a known network has
FIELDS = [field.name for field in dataclasses.fields(BackboneFacts)]


Asked = tuple[BackboneSpec, Found | None]


def facts_for(asked: list[Asked], cache: Path) -> list[BackboneFacts | BenchError]:
    """In this order. Most entries of the catalogue answer at once, libraries' models from the cache or by one look."""
    questions: dict[str, dict[str, Any]] = {}
    answers: dict[str, Any] = {}
    for spec, found in asked:
        if found is not None or backbones.find(spec.name) is None:
            key, question = _question(spec, found)
            answer = recall(cache / "timm" / f"{key}.json")
            if answer is None:
                questions[key] = question
            else:
                answers[key] = answer
    if questions:
        answers |= _ask(questions)
        for key in questions:
            if "error" not in answers[key]:
                remember(cache / "timm" / f"{key}.json", answers[key])
    return [_as_taken(one[0], _facts(one, answers)) for one in asked]


def _as_taken(spec: BackboneSpec, facts: BackboneFacts | BenchError) -> BackboneFacts | BenchError:
    """A network for pictures may be shown sound."""
    if spec.takes is None or isinstance(facts, BenchError):
        return facts
    if facts.modality != "image":
        return BenchError(f"backbone {spec.name!r}: `takes: {spec.takes}` is for networks for pictures, and this one "
                          f"takes {facts.modality}")
    side = spec.image_size or (facts.image_size if facts.is_size_fixed else 0) or 0
    picture = dataclasses.replace(PICTURE, channels=spec.options.get("in_chans", PICTURE.channels), side=side)
    return dataclasses.replace(facts, modality="sound", takes=picture)


def _facts(asked: Asked, answers: dict[str, Any]) -> BackboneFacts | BenchError:
    spec, found = asked
    entry = backbones.find(spec.name)
    if entry is not None and found is None:
        try:
            return entry.facts_of(spec.options)
        except ValidationError:
            return entry.facts  # `resolve_backbone` says what is wrong with them
    answer = answers[_question(spec, found)[0]]
    if "error" in answer:
        return BenchError(f"backbone {spec.name!r}: {answer['error']}")
    if entry is not None and entry.takes is not None and found is not None:
        units = tuple(answer["unit_names"])
        takes = entry.takes(found.options)
        return dataclasses.replace(entry.facts, unit_names=units, takes=takes, modality=modalities.of(takes).name)
    lists = {name: tuple(answer[name]) for name in ("unit_names", "mean", "std")}
    return BackboneFacts(**{**answer, **lists})


def _question(spec: BackboneSpec, found: Found | None) -> tuple[str, dict[str, Any]]:
    if found is not None:
        question = {"name": backbones.split_name(spec.name)[0], "units": spec.units, "options": found.options}
        return digest([_version("transformers"), CUT, FIELDS, question]), question
    question = {"name": spec.name, "units": spec.units, "options": spec.options}
    return digest([version("timm"), version("torchvision"), CUT, FIELDS, question]), question


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return ""


def _ask(questions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    note(f"looking at {', '.join(sorted({q['name'] for q in questions.values()}))}; once")
    return fork_server.ask("looking at backbones", _answers, questions)


def _answers(questions: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """In the other process."""
    with contextlib.redirect_stderr(io.StringIO()):  # timm warns of names that it has given up
        return {key: _answer(question) for key, question in questions.items()}


def _without_memory(name: str, options: dict[str, Any]) -> Any:
    """On the meta device; some models of older timm versions can only be built for real."""
    import torch

    from bench.network.build import build_named

    try:
        with torch.device("meta"):
            return build_named(name, CLASSES, options)
    except (NotImplementedError, RuntimeError):
        return build_named(name, CLASSES, options)


def _answer(question: dict[str, Any]) -> dict[str, Any]:
    """Builds the model without memory (meta device) and looks at it."""
    from bench.network.units import cut_into_units

    try:
        model = _without_memory(question["name"], question["options"])
        network = cut_into_units(model, coarse=question["units"] == "coarse")
    except Exception as error:
        return {"error": f"cannot be built: {error}"}
    facts = BackboneFacts(
        unit_names=network.unit_names,
        has_batchnorm=_has_batchnorm(model),
        is_depthwise=_is_depthwise(model),
        **(_config(question, model) if backbones.find(question["name"]) is None else {}),
    )
    return dataclasses.asdict(facts)


def _has_batchnorm(model: Any) -> bool:
    from torch.nn.modules.batchnorm import _BatchNorm

    return any(isinstance(module, _BatchNorm) for module in model.modules())


def _is_depthwise(model: Any) -> bool:
    from torch import nn

    return any(isinstance(m, nn.Conv2d) and m.groups == m.in_channels > 1 for m in model.modules())


def _config(question: dict[str, Any], model: Any) -> dict[str, Any]:
    name = question["name"]
    if name.startswith(torchvision_names.PREFIX):
        from bench.backbones import torchvision_models

        found = torchvision_models.config_of(name)
        side = question["options"].get("image_size", found["image_size"])
        return {**found, "image_size": side, "has_hub_weights": bool(torchvision_names.tags_of(name))}
    config = model.pretrained_cfg
    return {
        "mean": tuple(config["mean"]),
        "std": tuple(config["std"]),
        "image_size": question["options"].get("img_size", config["input_size"][-1]),
        "is_size_fixed": bool(config.get("fixed_input_size")),
        "has_hub_weights": bool(config.get("hf_hub_id") or config.get("url")),
        "interpolation": "bilinear" if config.get("interpolation") == "bilinear" else "bicubic",
    }

