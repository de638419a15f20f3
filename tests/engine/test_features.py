"""Kept tables: whole or computed again, shared, within a budget."""

import contextlib
import fcntl
import os
import threading

import pytest
import torch
from safetensors import SafetensorError

from bench.engine.common import features as module
from bench.engine.common.features import Features
from bench.store import locks

CPU = torch.device("cpu")


def table(dtype=torch.float32, shape=(7, 3)):
    return (torch.arange(float(torch.tensor(shape).prod())).view(shape) * 1.5).to(dtype)


def get(store, key="one", value=None):
    value = table() if value is None else value
    return store.get([key], "group", lambda: {key: value})[0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int64, torch.bool])
@pytest.mark.parametrize("shape", [(7, 3), (2, 3, 4, 5), (1,)])
def test_what_is_kept_comes_back_to_the_last_bit(tmp_path, dtype, shape):
    value = table(dtype, shape)
    assert torch.equal(get(Features(tmp_path, CPU), value=value), value)
    later = Features(tmp_path, CPU)
    found = later.get(["one"], "group", lambda: pytest.fail("computed again"))[0]
    assert found.dtype == dtype
    assert torch.equal(found, value)
    assert later.computed == 0


@pytest.mark.parametrize("harm", [
    lambda data: data[: len(data) // 2],  # half written
    lambda data: data[:8],
    lambda data: b"",
    lambda data: b"not json".ljust(len(data)),
    lambda data: data[:-1] + bytes([data[-1] ^ 1]),  # one bit
    lambda data: data + b"more",
    lambda data: data.replace(b'"F32"', b'"I32"'),
    lambda data: data.replace(b'"shape":[7,3]', b'"shape":[3,7]'),
    lambda data: data.replace(b'"key":"one"', b'"key":"two"'),
])
def test_a_damaged_file_is_computed_anew(tmp_path, harm):
    get(Features(tmp_path, CPU))
    path = tmp_path / "one"
    path.write_bytes(harm(path.read_bytes()))
    told = []
    store = Features(tmp_path, CPU, told.append)
    assert torch.equal(get(store), table())
    assert store.computed == 1
    (line,) = told
    assert line.startswith(f"features {path}: damaged (")
    assert line.endswith("; they are computed anew")
    assert torch.equal(get(Features(tmp_path, CPU), value=table() * 0), table())  # whole again


def test_files_that_were_exchanged_are_not_taken_for_each_other(tmp_path):
    """Equal shapes: nothing but the name inside tells them apart."""
    store = Features(tmp_path, CPU)
    store.get(["one", "two"], "group", lambda: {"one": table(), "two": table() + 1})
    first, second = tmp_path / "one", tmp_path / "two"
    both = first.read_bytes(), second.read_bytes()
    first.write_bytes(both[1])
    second.write_bytes(both[0])
    told = []
    later = Features(tmp_path, CPU, told.append)
    assert torch.equal(get(later), table())
    assert torch.equal(get(later, "two", table() + 1), table() + 1)
    assert later.computed == 2
    assert ["another table under this name" in line for line in told] == [True, True]


def test_an_interrupted_write_leaves_nothing_under_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(module.zlib, "crc32", lambda *data: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        get(Features(tmp_path, CPU))
    assert not (tmp_path / "one").exists()


def test_where_nothing_can_be_written_tables_stay_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    told = []
    store = Features(tmp_path / "file" / "features", CPU, told.append)
    assert torch.equal(get(store), table())
    assert torch.equal(store.get(["one"], "group", lambda: pytest.fail("computed again"))[0], table())
    (line,) = told
    assert line.startswith("features are kept in memory only: ")


def test_any_layout_is_written(tmp_path):
    value = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last)
    assert torch.equal(get(Features(tmp_path, CPU), value=value), value)
    assert torch.equal(Features(tmp_path, CPU).get(["one"], "group", lambda: pytest.fail("again"))[0], value)


def test_a_full_disk_costs_no_training(tmp_path, monkeypatch):
    def full(*arguments):
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(module, "save_file", full)
    assert torch.equal(get(Features(tmp_path, CPU)), table())
    assert not [path for path in tmp_path.iterdir() if path.stat().st_size]


def test_others_of_the_group_are_there_for_who_asks_next(tmp_path):
    store = Features(tmp_path, CPU)
    store.get(["a"], "group", lambda: {"a": table(), "b": table() + 1})
    assert torch.equal(Features(tmp_path, CPU).get(["b"], "group", lambda: pytest.fail("again"))[0], table() + 1)


def test_the_oldest_files_make_room_and_the_newest_stays(tmp_path, monkeypatch):
    get(Features(tmp_path / "other", CPU), "a")
    size = (tmp_path / "other" / "a").stat().st_size
    monkeypatch.setattr(module, "DISK_BYTES", 2 * size)
    folder = tmp_path / "kept"
    store = Features(folder, CPU)
    for number, key in enumerate("abc"):
        get(store, key)
        os.utime(folder / key, (number, number))
    get(store, "d")
    assert {path.name for path in folder.iterdir() if path.stat().st_size} == {"c", "d"}
    assert torch.equal(get(store, "a"), table())  # who has it open keeps it


def test_few_stay_open_and_those_asked_for_do(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "OPEN_BYTES", table().nbytes)
    store = Features(tmp_path, CPU)
    assert len(store.get(["a", "b"], "group", lambda: {"a": table(), "b": table()})) == 2
    get(store, "c")
    assert list(store._open) == ["c"]


def test_two_at_once_compute_once(tmp_path):
    computed = []

    def compute():
        computed.append(1)
        threading.Event().wait(0.2)
        return {"one": table()}

    stores = [Features(tmp_path, CPU) for _ in range(3)]
    threads = [threading.Thread(target=store.get, args=(["one"], "group", compute)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(computed) == 1
    assert all(torch.equal(store.get(["one"], "group", dict)[0], table()) for store in stores)


def test_time_spent_is_counted(tmp_path):
    store = Features(tmp_path, CPU)
    get(store)
    assert store.seconds > 0


def test_whoever_holds_a_lock_for_ever_is_not_waited_for(tmp_path, monkeypatch, caplog):
    """The other worker hangs in a kernel: both come to the same, so nothing is lost but the work."""
    monkeypatch.setattr(locks, "PATIENCE", 0.2)
    with (tmp_path / ".group.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        store = Features(tmp_path, CPU)
        assert torch.equal(get(store), table())
    assert store.computed == 1
    assert ".group.lock has been held for" in caplog.text
    assert store.seconds < 0.2  # waiting is not work


def test_tables_are_awaited_and_made_in_a_pause(tmp_path, monkeypatch):
    events = []

    @contextlib.contextmanager
    def pause():
        events.append("pause")
        yield
        events.append("over")

    @contextlib.contextmanager
    def turns(path, tell):
        events.append("waiting")
        yield

    def compute():
        events.append("making")
        return {"one": table()}

    monkeypatch.setattr(locks, "taking_turns", turns)
    store = Features(tmp_path, CPU, pause=pause)
    for _ in range(2):  # the second time it is at hand
        store.get(["one"], "group", compute)
    assert events == ["pause", "waiting", "making", "over"]


def test_a_file_system_without_locks_is_no_reason_to_wait(tmp_path, monkeypatch):
    def unsupported(*_):
        raise OSError(95, "not supported")

    monkeypatch.setattr(locks.fcntl, "flock", unsupported)
    monkeypatch.setattr(locks.time, "sleep", lambda _: pytest.fail("waits"))
    assert torch.equal(get(Features(tmp_path, CPU)), table())
