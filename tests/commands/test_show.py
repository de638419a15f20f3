import dataclasses
import os
from pathlib import Path

import pytest

from bench.commands.suites import plan_from_file
from tests.made_up import edit

from .fabricate import fabricate


@pytest.fixture
def final(plan):
    return plan.cells[1].finals[0]


def test_a_final(bench, ran, final, roots):
    said = bench("show", final)
    assert said.code == 0
    assert said.out.startswith(f"final {final}: ok\n{roots.store.path(final)}\n")
    for text in ("name=digits", "amount=4, kind=labels_per_class", "rates=(0 0 0 0 0 1)", "origin=pretrain", "lr ",
                 "score ", "seconds=0.5", "torch=2.11.0", "train_loss"):
        assert text in said.out


@pytest.mark.parametrize("kind", ["pretrain", "trial", "final"])
def test_every_kind_by_its_first_characters(bench, ran, kind):
    keys = [record.key for record in ran]
    record = next(r for r in ran if r.kind == kind and sum(key[:6] == r.key[:6] for key in keys) == 1)
    assert bench("show", record.key[:6].upper()).out.startswith(f"{kind} {record.key}: ok")


def test_json_is_the_file(bench, ran, final, roots):
    said = bench("show", final, "--json")
    assert said.out.encode() == roots.store.path(final).read_bytes()
    assert said.json["key"] == final


def test_a_failure_tells_its_story(bench, plan, roots, final):
    fabricate(plan, roots, {final: "failed"})
    record = roots.store.read(final)
    roots.store.write(dataclasses.replace(record, result={"traceback": "Traceback of it\n  line"}))
    said = bench("show", final)
    assert said.code == 0
    assert f"final {final}: failed" in said.out
    assert "error: RuntimeError: made to be failed\\nsecond line" in said.out
    assert "Traceback of it\n  line\n" in said.out


@pytest.mark.parametrize("typed", ["abc", "xyzw", "", "../../small", "*" * 8, "0" * 33])
def test_what_is_no_key(bench, ran, typed):
    said = bench("show", typed)
    assert said.code == 2
    assert "is no key: expected at least 4" in said.error


def test_no_record(bench, place):
    said = bench("show", "0123")
    assert (said.code, "no record '0123' in results" in said.error) == (2, True)


def test_more_than_one(bench, ran, roots):
    for number in range(12):
        path = roots.store.path(f"abcd{number:028d}")
        path.parent.mkdir(exist_ok=True)
        path.write_text("")
    said = bench("show", "abcd")
    assert said.code == 2
    assert "'abcd' stands for 12 records: small/abcd" in said.error
    assert said.error.endswith("and 2 more")


def test_one_record_in_two_suites(bench, ran, final, folders):
    path = Path("suites/other.yaml")
    path.write_text(Path("suites/small.yaml").read_text().replace("name: small\n", "name: other\n"))
    fabricate(plan_from_file(path, (), folders), folders.roots("other"))
    said = bench("show", final)
    assert said.code == 2
    assert f"other/{final}, small/{final}" in said.error
    assert f"results/other/runs/{final[:2]}" in bench("show", f"other/{final}").out


@pytest.mark.parametrize("content", [b"", b"{}", b"<html>", b"\0" * 9])
def test_a_damaged_record(bench, ran, final, roots, content):
    roots.store.path(final).write_bytes(content)
    said = bench("show", final)
    assert said.code == 3
    assert said.error.startswith(f"{roots.store.path(final)}: damaged record, counted as absent: ")
    told = bench("show", final, "--json")
    assert told.code == 3
    assert told.json["file"] == str(roots.store.path(final))
    assert told.error == f"{told.json['file']}: damaged record, counted as absent: {told.json['damaged']}"


def test_what_was_moved_aside_is_found_where_no_record_took_its_place(bench, ran, final, roots):
    record = roots.store.read(final)
    roots.store.path(final).write_bytes(b"<html>")
    roots.store.write(record)
    assert bench("show", final).out.startswith(f"final {final}: ok")
    roots.store.path(final).unlink()
    said = bench("show", final[:8])
    (aside,) = roots.store.damaged.iterdir()
    assert (said.code, said.error) == (3, f"{aside}: damaged record, counted as absent: a web page")
    assert bench("show", final[:8], "--json").json["key"] == final


def test_a_pipe_in_the_place_of_a_record(bench, ran, final, roots):
    roots.store.path(final).unlink()
    os.mkfifo(roots.store.path(final))
    assert "not a file" in bench("show", final).error


def test_a_record_that_is_nested_deeply_is_damaged(bench, ran, final, roots):
    """It would run the printing out of stack."""
    path = roots.store.path(final)
    edit(path, lambda text: text.replace('"cores": 2', f'"cores": {"[" * 600}{"]" * 600}'))
    said = bench("show", final)
    assert (said.code, said.error) == (3, f"{path}: damaged record, counted as absent: nested too deeply")
    assert bench("status", "small").code == 0
