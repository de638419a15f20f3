import dataclasses
import json
import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.store import Record, sealed
from bench.store.encoding import decode, encode
from tests.made_up import sealed_text

KEY = "ab" + "0" * 30
KINDS = st.sampled_from(["pretrain", "trial", "final"])
STATUSES = st.sampled_from(["ok", "diverged", "failed", "oom", "crashed", "timeout", "not_applicable"])
FILE_NAMES = st.binary(max_size=10).map(lambda name: name.decode("utf-8", "surrogateescape"))  # not all are UTF-8
TEXT = st.text() | FILE_NAMES
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**40), 10**40), st.floats(allow_nan=False, allow_infinity=False), TEXT
)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=20
)
PARTS = st.dictionaries(TEXT, VALUES, max_size=4)
RECORDS = st.builds(
    Record, st.just(KEY), KINDS, STATUSES, PARTS, PARTS, PARTS, PARTS, error=st.none() | TEXT
)


def shape(value):
    """Equality that tells 1, 1.0 and True apart, and 0.0 from -0.0."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    return [shape(item) for item in value] if isinstance(value, list) else repr(value)


@settings(deadline=None)
@given(RECORDS)
def test_round_trip(record):
    data = encode(record)
    again = decode(data, KEY)
    assert shape(again.as_dict()) == shape(record.as_dict())
    assert encode(again) == data
    raw = json.loads(data.decode("utf-8"))  # any JSON reader can read it
    assert {name: value for name, value in raw.items() if name != "checksum"} == record.as_dict()
    assert re.fullmatch(rb'\{"checksum": "[0-9a-f]{64}",', data.split(b"\n")[0])


@settings(deadline=None, max_examples=50)
@given(RECORDS, st.data())
def test_torn_anywhere_it_is_no_record(record, data):
    whole = encode(record)
    cut = data.draw(st.integers(0, len(whole) - 2))  # the last byte is the line's end
    with pytest.raises(ValueError, match=r"^(empty|torn or not JSON|not text)"):
        decode(whole[:cut], KEY)


@settings(deadline=None)
@given(st.binary())
def test_any_bytes_are_a_record_or_a_value_error(data):
    with pytest.raises(ValueError, match="."):
        decode(data, KEY)


def test_one_field_a_line_in_a_fixed_order():
    one = Record(KEY, "final", "ok", {"b": 1, "a": "é"}, {"x": [1.5]})
    other = Record(KEY, "final", "ok", {"a": "é", "b": 1}, {"x": [1.5]})
    assert encode(one) == encode(other)
    assert '\n  "a": "é",\n  "b": 1\n' in encode(one).decode()
    assert encode(one).endswith(b"}\n")


def test_a_file_name_that_is_not_utf8_survives():
    record = Record(KEY, "final", "failed", {}, error=b"no such file: caf\xe9".decode("utf-8", "surrogateescape"))
    assert b'"no such file: caf\\udce9"' in encode(record)
    assert decode(encode(record), KEY) == record


@pytest.mark.parametrize("deep", [48, 49, 600, 5000])
def test_what_is_nested_deeply_is_no_record(deep):
    """Where the JSON reader has no objection, whoever prints it would run out of stack."""
    record = Record(KEY, "final", "failed", {})
    text = json.dumps(record.as_dict()).replace('"provenance": {}', f'"provenance": {{"a": {"[" * deep}{"]" * deep}}}')
    data = sealed.seal(f"{{\n{text[1:]}\n".encode())
    if deep == 48:
        assert encode(decode(data, KEY))
        return
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(data, KEY)


def test_nothing_is_written_that_would_not_be_read_again_for_its_depth():
    deep = []
    for _ in range(60):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        encode(Record(KEY, "final", "failed", {}, provenance={"a": deep}))


def test_tuples_come_back_as_lists():
    assert decode(encode(Record(KEY, "final", "ok", {"a": (1, 2)})), KEY).spec == {"a": [1, 2]}


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("part", ["spec", "result", "cost", "provenance"])
def test_what_is_not_finite_is_refused_by_name(part, number):
    record = dataclasses.replace(Record(KEY, "final", "ok", {}), **{part: {"a": [{"b": number}]}})
    with pytest.raises(ValueError, match=rf"record\.{part}\.a\[0\]\.b is {number}; a record holds finite numbers only"):
        encode(record)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({1: "a"}, "1 as a field's name is not text"),
        ({None: "a"}, "None as a field's name is not text"),
        ({1, 2}, "is a set, which JSON cannot hold"),
        (b"a", "is a bytes, which JSON cannot hold"),
        (1j, "is a complex, which JSON cannot hold"),
        (int, "is a type, which JSON cannot hold"),
    ],
)
def test_what_json_would_lose_is_refused_by_name(value, message):
    with pytest.raises(TypeError, match=rf"record\.spec\.a:? {message}"):
        encode(Record(KEY, "final", "ok", {"a": value}))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("kind", "tune", "record kind 'tune'; known: pretrain, trial, final"),
        ("status", "OK", "record status 'OK'; known: ok, diverged"),
        ("cost", [], "record field 'cost' is not a dict"),
        ("provenance", None, "record field 'provenance' is not a dict"),
        ("error", 5, "record field 'error' is neither text nor null"),
    ],
)
def test_a_wrong_field_is_refused_at_both_doors(field, value, message):
    record = dataclasses.replace(Record(KEY, "final", "ok", {}), **{field: value})
    with pytest.raises((ValueError, TypeError), match=message):
        encode(record)
    with pytest.raises(ValueError, match=message):
        decode(sealed_text(record.as_dict()), KEY)


def test_another_key_is_told_on_one_short_line():
    data = encode(Record(KEY + "\x1b[2J\ud800" * 50, "trial", "failed", {}))
    with pytest.raises(ValueError, match="holds the record of another key, ab000") as told:
        decode(data, KEY)
    assert str(told.value).isprintable()
    assert len(str(told.value)) < 100
