"""Records as the engine leaves them, made up: the fields that each kind must have."""

import dataclasses

HYPER = {"lr": 0.1, "weight_decay": 0.0}
PARTS = {
    "trial": {"num_validation": 10, "folds": []},
    "final": {**HYPER, "trial": 0, "lr_edge": "", "num_labels": 20, "best_on_test": 0.5},
    "pretrain": {"weights_sha256": "ab" * 32},
}
TEST = {"metric": "accuracy", "num_test": 10, "curve": [], "dataset_sha256": "cd" * 32, "weights": None}


def result_of(kind, **fields):
    """Of a training that came to a score."""
    test = {} if kind == "trial" else TEST
    return {"score": 0.5, "loss": 0.5, **test, **PARTS["final" if kind == "unchosen" else kind], **fields}


def spec_of(job, number=0, hyper=None):
    found = {"job": job.kind, "needs": list(job.needs), **dataclasses.asdict(job.spec)}
    return {**found, "number": number, "hyper": hyper or HYPER} if job.kind in ("search", "unchosen") else found
