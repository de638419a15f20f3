"""A record's predictions by code that is not ours: photographs by Pillow, features by timm, scikit-learn's solution."""

import csv
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch.nn import functional as F

import bench
from bench.commands.splits import export_splits
from bench.commands.suites import Folders, plan_from_file

pytestmark = [pytest.mark.real]
SUITE = Path(__file__).parents[2] / "suites" / "real_low_data.yaml"
FEWER = ["datasets=[{name: \"folder:rsscn7\", labels_per_class: 10}]", "strategies=[logistic_probe]", "repeats=3"]


def test_a_probe_on_photographs_says_what_scikit_learn_says(tmp_path, real):
    """Which files each repeat learns from and is tested on comes from `splits export`; all else is done anew here."""
    results = bench.run(SUITE, results=tmp_path, workers=1, overrides=FEWER)
    (path,) = lists(tmp_path)
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    features = dict(zip(names := sorted({row["file"] for row in rows}), features_of(real, names), strict=True))
    for final in results.finals.to_dict("records"):
        mine = [row for row in rows if int(row["repeat"]) == final["repeat"]]
        x, tested = (np.stack([features[row["file"]] for row in mine if row["part"] == part])
                     for part in ("train", "test"))  # fmt: skip
        y = [int(row["label"]) for row in mine if row["part"] == "train"]
        mean = np.mean(x, 0)
        spread = np.sqrt(((x - mean) ** 2).sum(1).mean())
        model = LogisticRegression(C=1 / (final["penalty"] * len(x)), tol=1e-10, max_iter=50_000)
        theirs = model.fit((x - mean) / spread, y).predict((tested - mean) / spread)
        said = results.predictions(repeat=final["repeat"]).set_index("example")["predicted"]
        ours = [said[int(row["index"])] for row in mine if row["part"] == "test"]
        assert len(ours) == 560
        assert (theirs != ours).sum() <= 1  # a tie, where features differ in their last bits


def lists(place):
    folders = Folders(place, place)
    plan = plan_from_file(SUITE, FEWER, folders)
    export_splits(plan, place / "lists", "csv", folders, as_data=False)
    return (place / "lists").glob("*.csv")


def features_of(real, names):
    network = timm.create_model("mobilenetv2_035", num_classes=0, pad_type="same", bn_eps=1e-3).eval()
    weights = torch.load(real / "weights" / "timm_mobilenetv2_035_imagenet_notop.pth", weights_only=True)
    network.load_state_dict(weights.get("state_dict", weights))
    for name in names:
        pixels = np.asarray(Image.open(real / "rsscn7" / name).convert("RGB"))
        x = torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 255
        x = F.interpolate(x, size=(64, 64), mode="bicubic", antialias=True).clamp(0, 1)
        with torch.no_grad():
            yield network((x - 0.5) / 0.5)[0].double().numpy()
