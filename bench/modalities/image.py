"""Pictures: 8-bit RGB of one size in a split, resized and normalised as the weights expect. `pixels.py` computes."""

from typing import Any

import numpy as np

from bench.modalities.base import Columns, Handling, Modality
from bench.modalities.glimpse import of_pictures
from bench.spec.refs import Pipeline


def _check(columns: Columns) -> None:
    images = columns["images"]
    assert images.dtype == np.uint8
    assert images.ndim == 4
    assert images.shape[3] == 3


def _pipeline_for(spec: Any, facts: Any, data: Any) -> Pipeline:
    return Pipeline(
        image_size=spec.image_size or facts.image_size or data.image_size,
        mean=spec.mean or facts.mean,
        std=spec.std or facts.std,
        interpolation="bilinear" if (spec.interpolation or facts.interpolation) == "bilinear" else "bicubic",
        crop=spec.crop,
    )


def _in_words(pipeline: Pipeline) -> str:
    side, crop = pipeline.image_size, pipeline.crop
    cut = f", the middle {100 * crop:g} % of each side" if crop < 1 else ""
    return f"{side} × {side} pixels ({pipeline.interpolation}{cut}), normalised as the weights expect"


def _handling() -> Handling:
    from bench.modalities.pixels import ImageHandling

    return ImageHandling()


MODALITY = Modality(
    name="image",
    summary="pictures, uint8 [N, H, W, 3]",
    columns=("images",),
    check=_check,
    pipeline=Pipeline,
    handling=_handling,
    pipeline_for=_pipeline_for,
    example="image",
    in_words=_in_words,
    glimpse=lambda columns: of_pictures(columns["images"]),
)
