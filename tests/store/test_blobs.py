import hashlib
import os

import pytest

from bench.errors import StoreError
from bench.store import atomic, blobs

DATA = b"weights" * 100


def test_round_trip_under_the_digest_of_the_content(tmp_path):
    sha256 = blobs.put(tmp_path, DATA)
    assert sha256 == hashlib.sha256(DATA).hexdigest()
    assert blobs.path_of(tmp_path, sha256) == tmp_path / "weights" / sha256[:2] / f"{sha256}.safetensors"
    assert blobs.has(tmp_path, sha256)
    assert blobs.get(tmp_path, sha256) == DATA


def test_the_same_content_is_written_once_and_synced_all_the_same(tmp_path, monkeypatch):
    sha256 = blobs.put(tmp_path, DATA)
    before = blobs.path_of(tmp_path, sha256).stat()
    synced = []
    monkeypatch.setattr(atomic, "sync_folder", synced.append)
    assert blobs.put(tmp_path, DATA) == sha256
    assert blobs.path_of(tmp_path, sha256).stat().st_ino == before.st_ino
    assert synced == [blobs.path_of(tmp_path, sha256).parent]


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA[:-1] + b"S", b"<html>", DATA + b"\0"])
def test_damage_is_told_and_the_next_put_mends_it(tmp_path, damage):
    sha256 = blobs.put(tmp_path, DATA)
    path = blobs.path_of(tmp_path, sha256)
    path.write_bytes(damage)
    with pytest.raises(StoreError) as caught:
        blobs.get(tmp_path, sha256)
    assert str(caught.value) == (
        f"weights damaged: {path} holds {len(damage)} bytes with sha256 "
        f"{hashlib.sha256(damage).hexdigest()}"
    )
    blobs.put(tmp_path, DATA)
    assert blobs.get(tmp_path, sha256) == DATA


def test_missing_weights_are_named(tmp_path):
    sha256 = "0" * 64
    assert not blobs.has(tmp_path, sha256)
    with pytest.raises(StoreError, match=f"weights missing: .*{sha256}.safetensors"):
        blobs.get(tmp_path, sha256)


def test_unreadable_weights_are_named(tmp_path):
    path = blobs.path_of(tmp_path, "0" * 64)
    path.mkdir(parents=True)
    assert not blobs.has(tmp_path, "0" * 64)
    with pytest.raises(StoreError, match="cannot read weights .*a folder stands where the file should be"):
        blobs.get(tmp_path, "0" * 64)


@pytest.mark.parametrize("sha256", ["", "../" * 10, "A" * 64, "0" * 63, "0" * 64 + "\n"])
def test_what_is_no_digest_never_becomes_a_path(tmp_path, sha256):
    with pytest.raises(ValueError, match="a sha256 is 64 lower-case hex digits"):
        blobs.path_of(tmp_path, sha256)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def write(descriptor, data):
        raise OSError(28, "injected")

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StoreError, match="the disk is full"):
        blobs.put(tmp_path, DATA)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
