"""Examples that were kept for the page are read as they were written, or counted as absent and told."""

import json

import pytest

from bench.store import sealed
from bench.store.remembered import remember
from bench.store.samples import KeptExample, KeptSamples, OfClass, Samples, Shown

PICTURE = "image/png;base64,iVBORw0KGgo="
WHOLE = Samples(
    classes=[OfClass(name="<b>cat", num_train=3, num_test=2, examples=Shown(picture=PICTURE), num=3),
             OfClass(name="dog", num_train=1, num_test=0)],
    tested=[KeptExample(place=1, label=0, example=Shown(texts=["so it is"])),
            KeptExample(place=7, label=1, example=Shown(picture=PICTURE))],
    num_tested=9,
)  # fmt: skip


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "samples" / "one.json"
    remember(path, WHOLE.plain())
    return path


def test_they_come_back_as_they_were(path):
    assert KeptSamples(path).found == WHOLE
    assert KeptSamples(path).problem == ""


def test_no_file_is_no_problem(tmp_path):
    assert KeptSamples(tmp_path / "none.json").found is None
    assert KeptSamples(tmp_path / "none.json").problem == ""


@pytest.mark.parametrize("harm", [lambda data: b"", lambda data: data[:-9], lambda data: data.replace(b"cat", b"cow"),
                                  lambda data: b"\xff" * 40])  # fmt: skip
def test_a_damaged_file_is_told(path, harm):
    path.write_bytes(harm(path.read_bytes()))
    one = KeptSamples(path)
    assert one.found is None
    assert one.problem == f"{path}: damaged"


@pytest.mark.parametrize(("place", "value", "where"), [
    (("tested", 0, "label"), -1, "samples.tested.0.label"),
    (("tested", 0, "place"), "1", "samples.tested.0.place"),
    (("classes", 0, "examples", "picture"), "image/svg+xml;base64,AAAA", "samples.classes.0.examples.picture"),
    (("classes", 0, "examples", "picture"), 'image/png;base64,AA" onload="x', "samples.classes.0.examples.picture"),
    (("classes", 0, "examples", "picture"), f"image/png;base64,{'A' * 50_000}", "samples.classes.0.examples.picture"),
    (("tested", 0, "example", "texts"), ["x" * 500], "samples.tested.0.example.texts.0"),
])  # fmt: skip
def test_a_whole_file_of_something_else_is_told(path, place, value, where):
    content = json.loads(path.read_bytes())["value"]
    inner = content
    for step in place[:-1]:
        inner = inner[step]
    inner[place[-1]] = value
    remember(path, content)
    one = KeptSamples(path)
    assert one.found is None
    assert where in one.problem


def test_a_list_is_no_samples(path):
    path.write_bytes(sealed.seal(json.dumps({"name": path.name, "value": [1]}, indent=1).encode()))
    assert KeptSamples(path).found is None
    assert "damaged" in KeptSamples(path).problem
