"""`bench init`: what it says of somebody's data, and that the suite it writes can be planned as it is."""

import json
import os
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

from bench.suite.load import load_suite
from tests.datasets.pictured import class_folders, picture

ROOT = Path(__file__).parents[2]
HEIC = b"\0\0\0\x18ftypheic" + bytes(30)


def clip(path, pitch):
    wavy = (np.sin(np.arange(8000) * pitch / 16_000) * 9000).astype(np.int16)
    path.parent.mkdir(parents=True, exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(wavy.tobytes())


def sentences(num):
    return [(f"the {'good' if number % 2 else 'bad'} film number {number}", "up" if number % 2 else "down")
            for number in range(num)]  # fmt: skip


def made(place, kind):
    if kind == "pictures":
        return class_folders(place / "photos", per_class=60)
    if kind == "pictures with a split":
        class_folders(place / "photos/train", per_class=30)
        class_folders(place / "photos/test", per_class=30, start=30)
        return place / "photos"
    if kind == "texts":
        for number, (text, label) in enumerate(sentences(120)):
            (place / "texts" / label).mkdir(parents=True, exist_ok=True)
            (place / "texts" / label / f"{number}.txt").write_text(text)
        return place / "texts"
    if kind == "clips":
        for number in range(60):
            clip(place / "clips" / ("low" if number % 2 else "high") / f"{number}.wav", 1000 + 50 * number)
        return place / "clips"
    if kind == "table":
        lines = [f"{number},{label},{text}" for number, (text, label) in enumerate(sentences(120))]
        (place / "odd.csv").write_text("\n".join(["id,Verdict,Remark", *lines]) + "\n")
        return place / "odd.csv"
    if kind == "lines":
        rows = [json.dumps({"review": text, "sentiment": label}) for text, label in sentences(120)]
        (place / "odd.jsonl").write_text("\n".join(rows) + "\n")
        return place / "odd.jsonl"
    if kind == "parquet of paths":
        import pandas as pd

        class_folders(place / "photos", per_class=60)
        paths = [f"photos/{one}/{number}.png" for one in ("ant", "bee") for number in range(60)]
        table = pd.DataFrame({"filename": paths, "species": [path.split("/")[1] for path in paths]})
        table.to_parquet(place / "odd.parquet")
        return place / "odd.parquet"
    draw = np.random.default_rng(0)
    parts = {f"x_{name}": draw.integers(0, 256, (num, 16, 16, 3), np.uint8) for name, num in TWO.items()}
    labels = {f"y_{name}": np.arange(num) % 2 for name, num in TWO.items()}
    np.savez(place / "some.npz", **parts, **labels)
    return place / "some.npz"


TWO = {"train": 60, "test": 120}
KINDS = {
    "pictures": "found 120 images of 2 classes, 12 px", "pictures with a split": "found 120 images of 2 classes, 12 px",
    "texts": "found 120 texts of 2 classes, up to 24 bytes", "clips": "found 60 clips of 2 classes, 0.5 s",
    "table": "read with text Remark, label Verdict", "lines": "read with text review, label sentiment",
    "parquet of paths": "read with image filename, label species", "npz": "found 180 images of 2 classes, 16 px",
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_the_suite_can_be_planned_as_it_is(bench, unasked, place, kind):
    data = made(place, kind)
    said = bench("init", str(data))
    assert said.code == 0, said.err
    assert KINDS[kind] in said.out.splitlines()
    assert str(place) not in (place / "suite.yaml").read_text()  # both may be moved
    planned = bench("plan", "suite.yaml")
    assert planned.code == 0, planned.err


@pytest.mark.parametrize("kind", ["pictures", "clips", "lines"])
@pytest.mark.slow
def test_the_suite_runs_as_it_is(bench, place, kind):
    assert bench("init", str(made(place, kind))).code == 0
    done = subprocess.run(
        [sys.executable, "-m", "bench", "run", "suite.yaml", "--offline", "--json", "--set", "repeats=2", "--set",
         "training.steps=2", "--set", "search.trials=2"], cwd=place, env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {row["status"] for row in json.loads(done.stdout)["finals"]} == {"ok"}


def test_budgets_stay_within_what_the_classes_have(bench, place):
    for per_class, budgets in ((4, ("full",)), (10, (4,)), (60, (5, 25)), (200, (10, 50))):
        data = class_folders(place / f"photos{per_class}", per_class=per_class)
        assert bench("init", str(data), "--force").code == 0
        (spec,) = load_suite(Path("suite.yaml")).suite.datasets
        assert spec.labels_per_class == budgets
        assert bench("plan", "suite.yaml").code == 0


def test_few_pictures_are_tested_on_in_more_repeats_and_that_is_said(bench, place):
    said = bench("init", str(class_folders(place / "photos", ("ant", "bee", "cat"), per_class=20)))
    assert "24 test images decide little: one of them is 4.2 points. Others are set aside in each of 10 repeats" \
        in said.err
    suite = load_suite(Path("suite.yaml")).suite
    assert suite.repeats == 10
    assert suite.datasets[0].test.resplit
    assert suite.datasets[0].options == {"test_share": 0.4}
    class_folders(place / "both/train", per_class=20)
    class_folders(place / "both/test", per_class=6, start=20)
    said = bench("init", "both", "--force")
    assert "12 test images decide little: one of them is 8.3 points. Put train and test together" in said.err
    assert "12 test images decide little" in Path("suite.yaml").read_text()


def test_classes_of_other_sizes_count_the_same(bench, place):
    class_folders(place / "photos", ("ant",), per_class=60)
    class_folders(place / "photos", ("bee",), per_class=20)
    assert bench("init", "photos").code == 0
    assert load_suite(Path("suite.yaml")).suite.datasets[0].metric == "mean_per_class"


def test_what_is_left_out_and_what_stands_twice_is_counted(bench, place):
    class_folders(place / "photos/train", per_class=30)
    class_folders(place / "photos/test", per_class=30)
    for number in range(3):
        (place / f"photos/train/ant/{number}.heic").write_bytes(HEIC)
    said = bench("init", "photos")
    assert "files that are no pictures, passed over: 3; found a HEIC picture (3 files)" in said.out
    assert "60 of 60 test images are training images too, byte for byte" in said.out


def test_it_never_overwrites_unasked(bench, place):
    class_folders(place / "photos", per_class=30)
    (place / "mine.yaml").write_text("precious")
    said = bench("init", "photos", "--output", "mine.yaml")
    assert said.code == 2
    assert said.error.startswith("mine.yaml is there already; --force replaces it")
    assert (place / "mine.yaml").read_text() == "precious"
    assert bench("init", "photos", "--output", "mine.yaml", "--force").code == 0
    assert (place / "mine.yaml").read_text().startswith("# Written by `python -m bench init`")


def test_weights_that_are_here_are_taken(bench, place, monkeypatch):
    class_folders(place / "photos", per_class=30)
    assert bench("init", "photos").code == 0
    text = (place / "suite.yaml").read_text()
    assert load_suite(Path("suite.yaml")).suite.backbones[0].name == "small_resnet"
    assert '  # - {name: "resnet18.a1_in1k", image_size: 128}' in text
    (place / "data/weights").mkdir(parents=True)
    (place / "data/weights/resnet18.a1_in1k.safetensors").write_bytes(b"x")
    monkeypatch.setenv("BENCH_DATA", str(place / "data"))
    assert bench("init", "photos", "--force").code == 0
    assert [one.name for one in load_suite(Path("suite.yaml")).suite.backbones] == ["resnet18.a1_in1k"]


def flat(place):
    (place / "some").mkdir()
    picture((9, 9, 9)).save(place / "some/1.png")


def only_heic(place):
    class_folders(place / "some", per_class=4)
    (place / "some/cat").mkdir()
    (place / "some/cat/1.heic").write_bytes(HEIC)


REFUSED = {
    "a path that is none": (lambda place: None, "some: no such file or folder; there are suites"),
    "an empty folder": (lambda place: (place / "some").mkdir(), "some: no pictures in folders named after classes"),
    "a flat folder": (flat, "some: no pictures in folders named after classes; expected some/CLASS/*.jpg"),
    "a file that is no data": (lambda place: (place / "some").write_text("hello"), "some: no data set; expected a fol"),
    "a class that nobody can read": (only_heic, "nothing of 'cat' can be read: 1 file, .heic"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_data_set_is_one_line(bench, place, case):
    make, told = REFUSED[case]
    make(place)
    said = bench("init", "some")
    assert said.code == 2
    assert told in said.error
    assert not (place / "suite.yaml").exists()


TABLES = {
    "no labels": ("a,b\n1,x\n2,y\n", "no column of labels beside one of texts or of paths; found 'a', 'b'"),
    "empty": ("", "not a table"),
    "a folder with a table": ("", "it holds odd.csv: name that file"),
}


@pytest.mark.parametrize("case", TABLES)
def test_a_table_that_cannot_be_read_is_one_line(bench, place, case):
    content, told = TABLES[case]
    (place / "some").mkdir()
    (place / "some/odd.csv").write_text(content)
    said = bench("init", "some" if "folder" in case else "some/odd.csv")
    assert said.code == 2
    assert told in said.error


def test_columns_with_the_usual_names_need_no_options(bench, place):
    rows = "\n".join(f"{text},{label},{'test' if number > 59 else 'train'}"
                     for number, (text, label) in enumerate(sentences(120)))  # fmt: skip
    (place / "usual.csv").write_text(f"text,label,split\n{rows}\n")
    said = bench("init", "usual.csv")
    assert said.code == 0
    assert "read with" not in said.out
    assert "its own split: 60 to train and 60 to test" in said.out


def test_looking_needs_no_torch(place):
    class_folders(place / "photos", per_class=30)
    script = ("import sys\nfrom bench.cli import main\nsys.argv = ['bench', 'init', 'photos']\ntry:\n    main()\n"
              "finally:\n    assert not {'torch', 'timm', 'torchvision'} & sys.modules.keys()")
    done = subprocess.run([sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=False,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
