"""How test examples lie before and after the training of one strategy of each task, on two axes each."""

import base64
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from bench.analysis.cells import Row, Task, cells, mean_of
from bench.store.results import Plane, Projection

FULL = "full_finetune"
STILL = 1 - 1e-6  # likeness of a last unit that training did not move


@dataclass(frozen=True)
class OnPlane:
    places: npt.NDArray[np.int8]  # [n, 2]
    shares: tuple[float, float]  # of the variance


@dataclass(frozen=True)
class Moved:
    task: Task
    strategy: str
    labels: npt.NDArray[np.uint8]  # [n]
    before: OnPlane
    after: OnPlane


def moved(finals: pd.DataFrame) -> list[Moved]:
    """Of each task full fine-tuning, else the strategy with the highest mean that moved the last unit. Training from
    scratch has no pretrained network to begin with."""
    best: dict[Task, tuple[tuple[bool, float], Moved]] = {}
    for cell, rows in cells(finals):
        told = next((row for row in rows if _tells(row)), None)
        if told is None:
            continue
        rank = (cell[3] == FULL, mean_of(rows, "score"))
        task = (cell[0], cell[1], cell[2])
        if task not in best or rank > best[task][0]:
            best[task] = rank, _moved(task, cell[3], told["projection"])
    return [one for _, one in best.values()]


def _tells(row: Row) -> bool:
    likeness = [one for one in row["similarity"] if one is not None]
    return row["projection"] is not None and not row["baseline"] and bool(likeness) and likeness[-1] < STILL


def _moved(task: Task, strategy: str, told: Projection) -> Moved:
    labels = np.frombuffer(base64.b64decode(told.labels), np.uint8)
    return Moved(task, strategy, labels, _on_plane(told.before), _on_plane(told.after))


def _on_plane(plane: Plane) -> OnPlane:
    places = np.frombuffer(base64.b64decode(plane.places), np.int8).reshape(-1, 2)
    return OnPlane(places, (plane.shares[0], plane.shares[1]))
