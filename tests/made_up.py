"""Records as the engine leaves them, made up: keys that follow from them, and the fields that each kind must have."""

import json
from pathlib import Path

from bench.keys import PROTOCOL
from bench.store import Record, coherence, sealed

HYPER = {"lr": 0.1, "weight_decay": 0.0}
PARTS = {
    "trial": {**HYPER, "num_validation": 10, "dataset_sha256": "cd" * 32, "weights": None},
    "final": {**HYPER, "trial": 0, "lr_edge": "", "num_labels": 20},
    "pretrain": {"weights_sha256": "ab" * 32},
}
TEST = {"metric": "accuracy", "num_test": 10, "dataset_sha256": "cd" * 32, "weights": None}
ASKED = {  # what readers ask of a spec
    "data": {"metric": "accuracy", "num_classes": 3},
    "search": {"trials": 3, "folds": 0},
    "training": {"steps": 24},
}
SOURCE = {
    "data": {"name": "source", "options": {}, "revision": "1", "num_classes": 3, "metric": "accuracy"},
    "backbone": {"name": "net", "options": {}, "units": "coarse", "weights": {"origin": "random", "identity": ""}},
}


def result_of(kind, **fields):
    """Of a training that came to a score."""
    told = {"score": 0.5, "loss": 0.5, **fields}
    if kind == "trial":
        more = {"folds": [{"score": told["score"], "loss": told["loss"]}]}
    else:
        point = {"step": 24, "train_loss": 0.5, "accuracy": told["score"], "loss": told["loss"]}
        curve = fields.get("curve", [point])
        more = {**TEST, "curve": curve}
        if kind != "pretrain":
            more["best_on_test"] = told["score"]
    return {**more, **PARTS["final" if kind == "unchosen" else kind], **told}


def rescored(result, score):
    """The result of a final, had it come to another score."""
    curve = [*result["curve"][:-1], {**result["curve"][-1], "accuracy": score}]
    return {**result, "score": score, "best_on_test": max(point["accuracy"] for point in curve), "curve": curve}


def spec_of(job, number=0, hyper=None, place=0):
    """`number`: of a trial in its search. `place`: of one among those that were not chosen."""
    point = {"number": number, "hyper": hyper or HYPER}
    more = {"search": point, "unchosen": {**point, "place": place}}
    return job.content | more.get(job.kind, {})


def record(kind="final", status="ok", spec=None, result=None, **fields):
    """`spec`: of a job that no plan has, whatever it holds. Its key follows from it."""
    content = {"protocol": PROTOCOL, "job": coherence.JOBS[kind], "needs": []}
    content |= SOURCE if kind == "pretrain" else ASKED
    if kind in ("trial", "unchosen"):
        content |= {"number": 0, "hyper": HYPER, **({"place": 0} if kind == "unchosen" else {})}
    told = result if result is not None else result_of(kind) if status == "ok" else {}
    return keyed(Record("", kind, status, {**content, **(spec or {})}, told, **fields))


def keyed(made):
    """With the key that follows from its spec."""
    return Record(**{**made.as_dict(), "key": coherence.key_from_spec(made)})


def sealed_text(raw):
    """As it would lie in a file whose checksum fits, whatever it holds."""
    text = json.dumps({name: value for name, value in raw.items() if name != sealed.FIELD}, indent=1)
    return sealed.seal((text + "\n").encode())


def edit(path, change):
    """Change the text of a file with a checksum, and its checksum with it."""
    rest = Path(path).read_text().partition("\n")[2]
    Path(path).write_bytes(sealed.seal(f"{{\n{change(rest)}".encode()))
