"""From files to what a network takes in, as the examples that it learned from: for networks that `bench` builds."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from bench import modalities
from bench.datasets import pictures, sounds, texts
from bench.engine.train.precision import arithmetic
from bench.errors import BenchError
from bench.modalities import MODALITIES
from bench.modalities.base import Columns
from bench.spec.job import FitSpec
from bench.spec.refs import DataRef, TextPipeline

HOW, TOKENIZER = "preprocessing.json", "tokenizer.json"
BATCH = 256


def preprocessing(spec: FitSpec, stored: Columns) -> dict[str, Any]:
    """`stored`: columns of the data set, before a pipeline prepares them."""
    pipeline = spec.pipeline
    fields = {name: value for name, value in asdict(pipeline).items() if value is not None}
    kept = _stored(spec.data, stored)
    return {"modality": modalities.of(pipeline).name, **fields, **({"stored": kept} if kept else {})}


def _stored(data: DataRef, columns: Columns) -> dict[str, Any]:
    """How examples are kept before a pipeline sees them."""
    if "images" in columns:
        height, width = columns["images"].shape[1:3]
        if height != width:
            raise BenchError(f"{data.name}: its pictures are kept as {width}x{height}, and use.py reads squares alone")
        return {"height": height, "width": width, "fit": data.options.get("fit", "crop")}
    if "wave" in columns:
        rate = int(columns["rate"][0])
        return {"rate": rate, "seconds": columns["wave"].shape[1] / rate}
    return {}


def columns_of(how: dict[str, Any], paths: list[Path]) -> Columns:
    """The files as a data set would keep them."""
    kept = how.get("stored", {})
    if how["modality"] == "image":
        return {"images": pictures.decode(paths, kept["width"], kept["fit"]).pixels}
    if how["modality"] == "text":
        return {"text": texts.decode(paths, texts.width_of(paths)).rows}
    rate = int(kept["rate"])
    wave = sounds.decode(paths, round(1000 * kept["seconds"]), rate).wave
    return {"wave": wave, "rate": np.full(len(wave), rate, np.int32)}


def pipeline_of(how: dict[str, Any]) -> Any:
    kind = MODALITIES[how["modality"]].pipeline
    fields = {name: value for name, value in how.items() if name not in ("modality", "stored")}
    return TypeAdapter(kind).validate_python(fields)


@torch.no_grad()
def logits(model: nn.Module, paths: list[Path], folder: Path) -> Tensor:
    """[N, classes]"""
    how, network = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (HOW, "network.json"))
    pipeline = pipeline_of(how)
    handling = modalities.of(pipeline).handling()
    columns = columns_of(how, paths)
    if handling.preparation(pipeline) is None:
        values = handling.stored(columns)
    else:
        files = {pipeline.tokenizer: folder / TOKENIZER} if isinstance(pipeline, TextPipeline) else {}
        values = (handling.prepared(columns, pipeline, files),)
    found = []
    for start in range(0, len(paths), BATCH):
        x = handling.inputs([tuple(value[start : start + BATCH] for value in values)], pipeline)
        with arithmetic(torch.device("cpu"), network["precision"]):
            found.append(model(x).float())
    return torch.cat(found)
