"""The order of the system calls, which no crash of a process alone can test, and the messages."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.errors import StoreError
from bench.store import atomic

CALLS = ("mkdir", "open", "write", "fsync", "close", "replace", "unlink")


@pytest.fixture
def trace(monkeypatch):
    """The system calls to come, each with the names that it is about."""
    seen, names = [], {}

    def wrap(name, real):
        def call(*args, **kwargs):
            about = [names.get(arg, "?") if isinstance(arg, int) else Path(arg).name for arg in args[:1]]
            result = real(*args, **kwargs)
            if name == "open":
                names[result] = about[0]
            if name == "replace":
                about.append(Path(args[1]).name)
            seen.append((name, *("temporary" if one.startswith(atomic.PREFIX) else one for one in about)))
            return result

        return call

    for name in CALLS:
        monkeypatch.setattr(os, name, wrap(name, getattr(os, name)))
    return seen


def test_content_is_synced_before_its_name_and_the_name_before_the_return(tmp_path, trace):
    (tmp_path / "folder").mkdir()
    trace.clear()
    atomic.write_bytes(tmp_path / "folder" / "file", b"content")
    assert trace == [
        ("open", "temporary"), ("write", "temporary"), ("fsync", "temporary"), ("close", "temporary"),
        ("replace", "temporary", "file"),
        ("open", "folder"), ("fsync", "folder"), ("close", "folder"),
    ]


def test_each_new_folder_is_synced_into_its_parent(tmp_path, trace):
    atomic.make_folder(tmp_path / "a" / "b")
    top = tmp_path.name
    assert trace == [
        ("mkdir", "a"), ("open", top), ("fsync", top), ("close", top),
        ("mkdir", "b"), ("open", "a"), ("fsync", "a"), ("close", "a"),
    ]


def test_short_writes_are_continued(tmp_path, monkeypatch):
    real, sizes = os.write, []

    def write(descriptor, data):
        sizes.append(real(descriptor, data[:7]))
        return sizes[-1]

    monkeypatch.setattr(os, "write", write)
    atomic.write_bytes(tmp_path / "file", bytes(range(100)))
    assert (tmp_path / "file").read_bytes() == bytes(range(100))
    assert sizes == [7] * 14 + [2]


def test_a_write_that_writes_nothing_ends(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "write", lambda descriptor, data: 0)
    with pytest.raises(StoreError, match=r"input/output error \(EIO\)"):
        atomic.write_bytes(tmp_path / "file", b"content")
    assert list(tmp_path.iterdir()) == []


def test_empty_content(tmp_path):
    atomic.write_bytes(tmp_path / "file", b"")
    assert (tmp_path / "file").read_bytes() == b""


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (errno.ENOSPC, "the disk is full (ENOSPC)"),
        (errno.EDQUOT, "the disk quota is used up (EDQUOT)"),
        (errno.EROFS, "the file system is read-only (EROFS)"),
        (errno.EACCES, "permission denied (EACCES)"),
        (errno.EMFILE, "too many open files (EMFILE)"),
        (errno.ENOENT, "it is not there, or no more (ENOENT)"),
        (errno.EXDEV, f"{os.strerror(errno.EXDEV)} (EXDEV)"),
    ],
)
def test_message_names_the_file_and_the_cause(tmp_path, monkeypatch, code, words):
    def refuse(*args):
        raise OSError(code, "injected")

    monkeypatch.setattr(os, "open", refuse)
    path = tmp_path / "file"
    with pytest.raises(StoreError) as caught:
        atomic.write_bytes(path, b"content")
    assert str(caught.value) == f"cannot write {path}: {words}"
    assert caught.value.__cause__.errno == code
    assert caught.value.exit_code == 3


def test_an_error_without_a_number_keeps_its_words():
    assert atomic.explain(OSError("just so")) == "just so"


def test_a_file_where_a_folder_is_needed(tmp_path):
    (tmp_path / "results").write_text("not a folder")
    with pytest.raises(StoreError, match="a file stands where a folder is needed"):
        atomic.write_bytes(tmp_path / "results" / "file", b"content")


def test_a_folder_where_the_file_should_be(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(StoreError, match="a folder stands where the file should be"):
        atomic.write_bytes(tmp_path / "file", b"content")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("code", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_sync_folders_is_no_error(tmp_path, monkeypatch, code):
    asked = []

    def fsync(descriptor):
        asked.append(descriptor)
        raise OSError(code, "injected")

    monkeypatch.setattr(os, "fsync", fsync)
    atomic.sync_folder(tmp_path)
    assert len(asked) == 1


def test_the_kernel_cuts_a_write_short_and_refuses_the_rest(tmp_path):
    script = (
        "import resource, sys; from pathlib import Path; from bench.store import atomic; from bench.errors import *\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (5000, 5000))\n"  # a real short write of 5000, then EFBIG
        "try: atomic.write_bytes(Path(sys.argv[1]), b'new' * 5000)\n"
        "except StoreError as error: sys.stdout.write(str(error))\n"
    )
    path = tmp_path / "file"
    path.write_bytes(b"old")
    environment = {**os.environ, "PYTHONPATH": str(Path(atomic.__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script, path], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout == f"cannot write {path}: the file is larger than allowed here (EFBIG)"
    assert [(found.name, found.read_bytes()) for found in tmp_path.iterdir()] == [("file", b"old")]


def test_new_files_follow_the_umask_so_that_a_group_can_share_them(tmp_path):
    before = os.umask(0o027)
    try:
        atomic.write_bytes(tmp_path / "file", b"content")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_no_descriptor_is_left_open(tmp_path):
    first = os.open(tmp_path, os.O_RDONLY)
    os.close(first)
    for _ in range(50):
        atomic.write_bytes(tmp_path / "a" / "file", b"content")
        atomic.probe(tmp_path)
    again = os.open(tmp_path, os.O_RDONLY)
    os.close(again)
    assert again == first


class TestSweep:
    def make(self, folder, machine, pid, age=0.0):
        path = folder / f"{atomic.PREFIX}{machine}-{pid}-0123456789abcdef"
        path.write_bytes(b"torn")
        status = path.stat()
        os.utime(path, (status.st_atime - age, status.st_mtime - age))
        return path

    def test_removes_only_what_has_no_writer(self, tmp_path):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        (tmp_path / "runs" / "ab").mkdir(parents=True)
        here = tmp_path / "runs" / "ab"
        own = atomic.temporary_in(here).name.split("-")[1]
        stale = [self.make(here, own, dead.pid), self.make(here, "elsewhere", 1, age=25 * 3600)]
        stale.append(here / f"{atomic.PREFIX}{own}-{dead.pid}-folder")
        (stale[-1] / "half").mkdir(parents=True)
        alive = [
            self.make(here, own, os.getpid(), age=25 * 3600),
            self.make(here, own, 1, age=25 * 3600),  # somebody else's process
            self.make(here, own, 10**30, age=25 * 3600),  # no pid at all
            self.make(here, "elsewhere", dead.pid),  # that pid may live there
        ]
        assert atomic.sweep(tmp_path) == len(stale)
        assert sorted(here.iterdir()) == sorted(alive)

    def test_without_a_folder_there_is_nothing_to_do(self, tmp_path):
        assert atomic.sweep(tmp_path / "absent") == 0

    def test_names_tell_machines_apart_without_process_namespaces_too(self, monkeypatch):
        with_namespaces = atomic._machine()

        def stat(self, **kwargs):
            raise FileNotFoundError

        monkeypatch.setattr(Path, "stat", stat)
        assert atomic._machine() != with_namespaces
        assert len(atomic._machine()) == 8

    def test_beside_a_file_only_names_of_ours_are_looked_at(self, tmp_path):
        dead = subprocess.Popen([sys.executable, "-c", ""])
        dead.wait()
        (tmp_path / "below").mkdir()
        own = atomic.temporary_in(tmp_path).name.split("-")[1]
        stale = self.make(tmp_path, own, dead.pid)
        kept = [
            self.make(tmp_path, own, os.getpid()),
            self.make(tmp_path, "elsewhere", "x", age=25 * 3600),  # somebody else's `.tmp-...`
            self.make(tmp_path / "below", own, dead.pid),
        ]
        assert atomic.sweep_beside(tmp_path / "page.html") == 1
        assert not stale.exists()
        assert all(path.exists() for path in kept)
        assert atomic.sweep_beside(tmp_path / "absent" / "page.html") == 0


def test_a_device_or_a_pipe_is_not_replaced_by_a_file(tmp_path):
    """`--junit /dev/null`, typed by root."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to(pipe)
    for path in (pipe, tmp_path / "link"):
        with pytest.raises(StoreError, match="it is a device or a pipe"):
            atomic.write_bytes(path, b"content")
    assert pipe.is_fifo()
    assert sorted(one.name for one in tmp_path.iterdir()) == ["link", "pipe"]
