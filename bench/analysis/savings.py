"""What the engine saved, told from the records: none of it is a score's business, all of it is the cost's."""

from collections import Counter
from dataclasses import dataclass

import pandas as pd

from bench.analysis.cells import once, records
from bench.analysis.frame import OWN_HEAD, SuiteResults


@dataclass(frozen=True)
class Savings:
    """Trials and finals whose records say how they were done, each once."""

    trainings: int
    kept: int  # what is frozen was computed once for each image, in a phase at least
    recomputed: int  # it was computed in every step, in all phases that have it
    in_fleets: int
    largest_fleet: int  # networks
    whole: list[tuple[str, str, int]]  # (backbone, why it runs whole, in how many of them)


def savings(results: SuiteResults) -> Savings:
    rows = [row for row in records(_trainings(results)) if row["frozen"]]
    phases = [row["frozen"].split("/") for row in rows]
    whole = Counter((row["backbone"], row["whole"]) for row in rows if row["whole"])
    fleets = [int(row["replicas"]) for row in rows if row["replicas"] > 1]
    return Savings(
        trainings=len(rows),
        kept=sum("kept" in found for found in phases),
        recomputed=sum("recomputed" in found and "kept" not in found for found in phases),
        in_fleets=len(fleets),
        largest_fleet=max(fleets, default=0),
        whole=sorted((*found, count) for found, count in whole.items()),
    )


def feature_seconds(results: SuiteResults) -> dict[str, float]:
    """By backbone, where there were any: seconds spent on features of frozen parts, in the whole suite."""
    frame = _trainings(results)
    totals = frame.groupby("backbone", sort=False)["feature_seconds"].sum()
    return {str(backbone): float(seconds) for backbone, seconds in totals.items() if seconds > 0}


def precisions(results: SuiteResults) -> dict[str, dict[str, list[str]]]:
    """What trials and finals were computed in, by their records; for what reasons, and which backbones for each."""
    found: dict[str, dict[str, list[str]]] = {}
    for row in records(_trainings(results).drop_duplicates(["precision", "precision_why", "backbone"])):
        if row["precision"]:
            found.setdefault(row["precision"], {}).setdefault(row["precision_why"], []).append(row["backbone"])
    return dict(sorted(found.items()))


def _trainings(results: SuiteResults) -> pd.DataFrame:
    """Trials and finals, but for checkpoints that were only scored."""
    columns = ["backbone", "solved", "precision", "precision_why", "frozen", "replicas", "whole", "feature_seconds"]
    every = pd.concat([once(frame)[columns] for frame in (results.every_final, results.every_trial)], ignore_index=True)
    return every[every["solved"] != OWN_HEAD]
