"""Texts as data: tables and folders, pairs, any script, and what is told of texts that are odd."""

import json

import numpy as np
import pytest

from bench.datasets import find, split_name
from bench.datasets.files import DataError
from bench.datasets.texts import LONGEST
from bench.modalities.tokens import texts_of

ROWS = [("good", "yes", "train"), ("bad", "no", "train"), ("fine", "yes", "train"), ("poor", "no", "train"),
        ("well", "yes", "test"), ("ill", "no", "test")]  # fmt: skip


def table(path, rows=ROWS, names=("text", "label", "split")):
    lines = [",".join(names), *(",".join('"' + str(one).replace('"', '""') + '"' for one in row) for row in rows)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def asked(name, **options):
    entry = find(split_name(name)[0])
    return entry, entry.options.model_validate({**split_name(name)[1], **options})


def read(name, **options):
    entry, given = asked(name, **options)
    return entry.facts(given), entry.load(given)


def texts(split):
    return [pair if len(pair) > 1 else pair[0] for pair in texts_of(split.columns["text"])]


def test_a_table_of_texts(tmp_path):
    facts, loaded = read(f"csv:{table(tmp_path / 'a.csv')}")
    assert (facts.modality, facts.num_train, facts.num_test, facts.classes) == ("text", 4, 2, ("no", "yes"))
    assert texts(loaded.train) == ["good", "bad", "fine", "poor"]
    assert loaded.test.labels.tolist() == [1, 0]
    assert loaded.train.modality == "text"


def test_a_column_of_pictures_that_is_asked_for_is_never_replaced_by_texts(tmp_path):
    path = table(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"no column 'photo'; found 'text', 'label', 'split'"):
        read(f"csv:{path}", image="photo")
    for more in ({"text": "text"}, {"second": "label"}):
        with pytest.raises(DataError, match=r"`image` and `text` \(or `second`\) are both given"):
            read(f"csv:{path}", image="photo", **more)


def test_any_script_survives(tmp_path):
    rows = [("日本語のテキスト", "a", "train"), ("naïve — “quoted”, with, commas", "b", "train"),
            ("🙂 emoji", "a", "train"), ("line one\nline two", "b", "train"), ("é vs é", "a", "test"),
            ("عربي", "b", "test")]  # fmt: skip
    _, loaded = read(f"csv:{table(tmp_path / 'a.csv', rows)}")
    assert [*texts(loaded.train), *texts(loaded.test)] == [row[0] for row in rows]


def test_the_same_as_lines_of_json_and_as_parquet(tmp_path):
    import pandas as pd

    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(json.dumps(dict(zip(("text", "label", "split"), row, strict=True))) for row in ROWS))
    pd.DataFrame(ROWS, columns=["text", "label", "split"]).to_parquet(tmp_path / "a.parquet")
    table(tmp_path / "a.csv")
    found = {kind: read(f"{kind}:{tmp_path / f'a.{kind}'}") for kind in ("csv", "jsonl", "parquet")}
    assert len({loaded.sha256 for _, loaded in found.values()}) == 1
    assert len({facts.num_train for facts, _ in found.values()}) == 1


@pytest.mark.parametrize(("lines", "told"), [
    ('{"text": "a", "label": 1}\n[1]', "line 2 is no object"),
    ('{"text": "a", "label": 1', "not a table"),
    ('{"text": "a"}', "no column 'label'"),
])  # fmt: skip
def test_lines_that_are_no_rows_are_told(tmp_path, lines, told):
    (tmp_path / "a.jsonl").write_text(lines)
    with pytest.raises(DataError, match=told):
        read(f"jsonl:{tmp_path / 'a.jsonl'}")


def test_pairs(tmp_path):
    rows = [(f"premise {i}", f"claim {i}", "ab"[i % 2], "test" if i > 5 else "train") for i in range(8)]
    path = table(tmp_path / "a.csv", rows, ("first", "then", "label", "split"))
    _, loaded = read(f"csv:{path}", text="first", second="then")
    assert texts(loaded.train)[3] == ("premise 3", "claim 3")
    with pytest.raises(DataError, match="no column 'sentence'"):
        read(f"csv:{path}", text="sentence")


def test_the_byte_between_pairs_is_no_part_of_a_text(tmp_path):
    rows = [("a\x1eb", "x", "train"), ("c", "y", "train"), ("d", "x", "test"), ("e", "y", "test")]
    _, loaded = read(f"csv:{table(tmp_path / 'a.csv', rows)}")
    assert texts(loaded.train) == ["a b", "c"]


def test_empty_long_and_repeated_texts_are_told(tmp_path):
    rows = [*ROWS, ("", "yes", "train"), ("x" * (LONGEST + 5), "no", "train"), ("good", "yes", "test")]
    facts, loaded = read(f"csv:{table(tmp_path / 'a.csv', rows)}")
    assert facts.notes == ("1 of 9 texts are empty", f"1 of 9 texts are longer than {LONGEST:,} bytes and are cut",
                           "1 of 3 test texts are training texts too, byte for byte")  # fmt: skip
    assert loaded.train.columns["text"].shape == (6, LONGEST)
    same = set(loaded.train.prints[:, 1].tolist()) & set(loaded.test.prints[:, 1].tolist())
    assert len(same) == 1


def test_long_texts_are_not_cut_within_a_letter(tmp_path):
    rows = [("é" * LONGEST, "a", "train"), ("b", "b", "train"), ("c", "a", "test"), ("d", "b", "test")]
    _, loaded = read(f"csv:{table(tmp_path / 'a.csv', rows)}")
    assert texts(loaded.train)[0] == "é" * (LONGEST // 2)


def test_a_folder_of_texts(tmp_path):
    for label in ("ham", "spam"):
        (tmp_path / label).mkdir()
        for number in range(6):
            (tmp_path / label / f"{number}.txt").write_bytes(f"\ufeff{label} {number} ü\n".encode())
    (tmp_path / "ham" / "readme.md").write_text("no text")
    facts, loaded = read(f"folder:{tmp_path}")
    assert (facts.modality, facts.num_train, facts.num_test) == ("text", 10, 2)
    assert "files that are no texts, passed over: 1" in facts.notes
    assert sorted(texts(loaded.train) + texts(loaded.test))[0] == "ham 0 ü"


def test_what_is_no_utf8_is_named(tmp_path):
    for label in ("ham", "spam"):
        (tmp_path / label).mkdir()
        for number in range(3):
            (tmp_path / label / f"{number}.txt").write_text("plain")
    (tmp_path / "spam" / "1.txt").write_bytes("für".encode("latin-1"))
    with pytest.raises(DataError, match=r"spam/1\.txt: no UTF-8 text \(byte 1 is 0xfc\)"):
        read(f"folder:{tmp_path}")
    (tmp_path / "spam" / "1.txt").write_bytes("für".encode("utf-16"))
    with pytest.raises(DataError, match="UTF-16"):
        read(f"folder:{tmp_path}")


def test_labels_beside_pictures_leave_them_pictures(tmp_path):
    from PIL import Image

    for label in ("a", "b"):
        (tmp_path / label).mkdir()
        for number in range(5):
            Image.fromarray(np.full((8, 8, 3), number * 9, np.uint8)).save(tmp_path / label / f"{number}.png")
            (tmp_path / label / f"{number}.txt").write_text("0 1 1 2 2")
    facts, _ = read(f"folder:{tmp_path}")
    assert facts.modality == "image"


def test_options_that_came_later_leave_keys_as_they_were(tmp_path):
    _, given = asked(f"csv:{tmp_path}/a.csv")
    assert set(given.in_key(("path",))) == {"side", "fit", "test_share", "split_seed", "image", "label", "split"}
    _, given = asked(f"csv:{tmp_path}/a.csv", second="claim")
    assert given.in_key(("path",))["second"] == "claim"


@pytest.mark.parametrize(("first", "second", "kept"), [
    ("a" * 9000, "b", ("a" * (LONGEST - 2), "b")),
    ("a", "b" * 9000, ("a", "b" * (LONGEST - 2))),
    ("é" * 9000, "b" * 9000, ("é" * 2048, "b" * 4095)),
    ("a" * 5000, "b" * 3500, ("a" * (LONGEST - 3501), "b" * 3500)),
])  # fmt: skip
def test_of_a_long_pair_both_texts_stay(tmp_path, first, second, kept):
    rows = [(first, second, "x", "train"), ("a", "b", "y", "train"), ("c", "d", "x", "test"), ("e", "f", "y", "test")]
    path = table(tmp_path / "a.csv", rows, ("text", "then", "label", "split"))
    facts, loaded = read(f"csv:{path}", second="then")
    assert texts(loaded.train)[0] == kept
    assert f"1 of 4 pairs of texts are longer than {LONGEST:,} bytes and are cut" in facts.notes


def test_texts_may_have_lines_and_this_is_told(tmp_path):
    rows = [(f"a, b\nc {number}\r\nd, yes", "yes" if number % 2 else "no", "train") for number in range(6)]
    facts, loaded = read(f"csv:{table(tmp_path / 'a.csv', [*rows, *ROWS])}")
    assert "a, b\nc 3\r\nd, yes" in texts(loaded.train)
    assert f"6 of {6 + len(ROWS)} rows have texts of several lines" in facts.notes


@pytest.mark.parametrize(("lines", "row"), [
    (["text,label", "good,yes", '"so he said,no', "bad,no", "fine,yes", 'he wrote "no" twice,no', "poor,no"], 2),
    (["label,text", "yes,good", 'no,"so he said', "no,bad", "yes,fine", 'no,he wrote "no" twice', "no,poor"], 2),
    (["text,label", 'so,no', '"good,yes', 'end" of it,no', "well,yes"], 2),
])  # fmt: skip
def test_a_quote_that_is_not_closed_swallows_no_rows(tmp_path, lines, row):
    (tmp_path / "a.csv").write_text("\n".join(lines))
    with pytest.raises(DataError, match=rf"a\.csv: row {row} goes on over \d lines that are rows themselves"):
        read(f"csv:{tmp_path / 'a.csv'}")


def test_lists_are_no_texts(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "a", "label": 1}\n{"text": ["a", "b"], "label": 2}\n')
    with pytest.raises(DataError, match=r"a\.jsonl: row 2: 'text' is \['a', 'b'\], expected a text or a number$"):
        read(f"jsonl:{tmp_path / 'a.jsonl'}")
    (tmp_path / "a.jsonl").write_text('{"text": 1, "label": 1}\n{"text": 2, "label": {"a": 1}}\n')
    with pytest.raises(DataError, match="row 2: 'label' is {'a': '1'}, expected"):
        read(f"jsonl:{tmp_path / 'a.jsonl'}")


def test_texts_are_called_texts(tmp_path):
    path = table(tmp_path / "a.csv", [*ROWS, ("more", "yes", "val")])
    facts, _ = read(f"csv:{path}")
    assert "validation texts were added to the training texts" in facts.notes
    path = table(tmp_path / "a.csv", [*ROWS, ("more", "", "train")])
    with pytest.raises(DataError, match="1 rows lack a label$"):
        read(f"csv:{path}")
    for split in ("train", "val", "test"):
        for label in ("ham", "spam"):
            (tmp_path / "set" / split / label).mkdir(parents=True)
            (tmp_path / "set" / split / label / "0.txt").write_text(f"{split} {label}")
    facts, _ = read(f"folder:{tmp_path / 'set'}")
    assert "`val` was added to the training texts" in facts.notes
