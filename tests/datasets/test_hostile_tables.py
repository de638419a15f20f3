"""Tables that are damaged, or say something else than they seem to: one line each."""

import tracemalloc

import pandas as pd
import pytest
from pyarrow.parquet import ParquetFile

from bench.datasets import manifest
from bench.datasets.files import DataError
from bench.datasets.manifest import TableOptions
from tests.datasets.pictured import class_folders


@pytest.fixture
def table(tmp_path):
    class_folders(tmp_path, per_class=4)

    def write(*more):
        rows = [f"{name}/{number}.png,{name}" for name in ("ant", "bee") for number in range(4)]
        path = tmp_path / "list.csv"
        path.write_bytes("\n".join(["path,label", *rows, *more, ""]).encode("utf-8", "surrogateescape"))
        return path

    return write


def facts(path):
    return manifest.facts(TableOptions(path=str(path)))


def refused(path):
    with pytest.raises(DataError) as told:
        facts(path)
    assert str(told.value).isprintable()
    return str(told.value)


@pytest.mark.parametrize(
    ("row", "words"),
    [("ant/0.png,bee", "1 pictures have several labels: "),
     ("ant/0.png,ant,more", "Expected 2 fields in line 10, saw 3"),
     ('"ant/0.png,ant', "EOF inside string"),
     ('ant/0.png,"ant\nbee/0.png,bee"', "1 labels go on over several lines, as behind a quote that is not closed"),
     ("ant/0\0.png,ant", r"1 of 9 pictures are not there: "), (f"{'n' * 300},ant", "1 of 9 pictures are not there: "),
     ("ant/0.png\x1b[2J,ant", r"0.png\x1b[2J"), ("/dev/zero,ant", "1 of 9 pictures are not there: /dev/zero"),
     ("ant/\udcff.png,ant", "not a table ('utf-8' codec can't decode")],
    ids=["two labels", "more fields", "an open quote", "a quote over two rows", "NUL", "a long name", "ESC", "a device",
         "not UTF-8"],
)  # fmt: skip
def test_rows_that_cannot_be_used(table, row, words):
    assert words in refused(table(row))


def test_rows_that_all_have_more_fields_than_the_head(tmp_path, table):
    """Their first fields would become row names, and each column the one beside it."""
    path = table()
    path.write_text("\n".join(["path,label", *(f"{row},{row}" for row in path.read_text().split()[1:])]))
    assert "more fields than its head has names" in refused(path)


def test_other_encodings(table):
    path = table()
    text = path.read_text()
    path.write_text(text, encoding="utf-8-sig")
    assert facts(path).num_classes == 2
    for encoding in ("utf-16", "utf-16-be"):
        path.write_bytes(text.encode(encoding) if encoding == "utf-16" else b"\xfe\xff" + text.encode(encoding))
        assert "its text is UTF-16; save it as UTF-8" in refused(path)
    path.write_bytes(text.replace("\n", "\r\n").encode())
    assert facts(path).num_classes == 2


def test_the_same_row_twice_is_one_picture_more(table):
    assert facts(table("ant/0.png,ant")).num_train + facts(table("ant/0.png,ant")).num_test == 9


def as_parquet(path, **more):
    rows = pd.read_csv(path).assign(**more)
    rows.to_parquet(path.with_suffix(".parquet"))
    return path.with_suffix(".parquet")


@pytest.mark.parametrize("change", [lambda path: path, as_parquet], ids=["csv", "parquet"])
def test_a_table_larger_than_memory_is_refused_unread(table, monkeypatch, change):
    """By its rows: as parquet, the same one a hundred thousand times takes 4 kB."""
    path = change(table(*["ant/0.png,ant"] * 100_000))
    monkeypatch.setattr(manifest, "available_memory", lambda: 200_000_000)
    monkeypatch.setattr(pd, "read_csv", None)
    monkeypatch.setattr(ParquetFile, "read", None)
    assert "rows, more than the free memory has room for" in refused(path)


def test_a_row_takes_no_more_than_was_reckoned_with(table):
    facts(table())  # what is imported is nobody's row
    options = TableOptions(path=str(table(*["ant/0.png,ant"] * 5_000)), side=8)
    tracemalloc.start()
    manifest.facts(options)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert 5_000 * manifest.PER_ROW / 3 < peak < 5_000 * manifest.PER_ROW


def test_columns_of_a_parquet_that_nobody_asks_for_are_not_read(table, monkeypatch):
    path = as_parquet(table(), pixels=b"many")
    read = ParquetFile.read
    asked = []
    monkeypatch.setattr(ParquetFile, "read", lambda self, columns: asked.append(columns) or read(self, columns))
    assert facts(path).num_classes == 2
    assert asked == [["path", "label"]]
    with pytest.raises(DataError, match=r"no column 'kind'; found 'path', 'label', 'pixels'"):
        manifest.facts(TableOptions(path=str(path), label="kind"))
