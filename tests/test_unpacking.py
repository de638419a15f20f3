"""Archives that would write elsewhere, or without end, as torchvision unpacks them: nothing of it happens, and one line
says why."""

import io
import sys
import tarfile
import zipfile

import pytest

from bench import fetching, unpacking


@pytest.fixture
def fetched(tmp_path, monkeypatch, capfd):
    """Fetches one archive into a folder as a data set would be; gives its exit code and what it says."""
    for kind in (tarfile.TarFile, zipfile.ZipFile):
        monkeypatch.setattr(kind, "extractall", kind.extractall)  # put back at the end
    monkeypatch.setenv("BENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()

    def fetch(archive):
        from torchvision.datasets.utils import extract_archive

        from bench.datasets import torchvision_sets

        def unpack(name, root):
            root.mkdir(exist_ok=True)
            extract_archive(str(archive), str(root))

        monkeypatch.setattr(torchvision_sets, "fetch", unpack)
        code = fetching._main("dataset", "cifar10")
        return code, capfd.readouterr().err

    return fetch


def member(name, content=b"x", **fields):
    one = tarfile.TarInfo(name)
    for field, value in fields.items():
        setattr(one, field, value)
    one.size = len(content) if one.type == tarfile.REGTYPE else 0
    return one, content


def tarred(path, *members):
    with tarfile.open(path, "w:gz") as archive:
        for one, content in members:
            archive.addfile(one, io.BytesIO(content))
    return path


def zipped(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def files(folder):
    """But for the mark that says that no whole folder is to be expected."""
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*")
                  if not path.is_dir() and path.suffix != unpacking.BEGUN)  # fmt: skip


LINK, HARD = {"type": tarfile.SYMTYPE}, {"type": tarfile.LNKTYPE}
ESCAPES = {
    "above": [member("../../out")],
    "hidden above": [member("a/../../../out")],
    "absolute": [member("/tmp/transfer-bench-out")],
    "a link that leads back in": [member("a/link", linkname="../b", **LINK), member("a/link/out")],
    "over a link": [member("a/link", linkname="../b", **LINK), member("a/link")],
    "a hard link to a link": [member("a/link", linkname="../b", **LINK), member("out", linkname="a/link", **HARD)],
    "a link": [member("up", linkname="../..", **LINK), member("up/out")],
    "an absolute link": [member("up", linkname="/etc", **LINK), member("up/out")],
    "a hard link": [member("up", linkname="../../secret", **HARD)],
    "a hard link, absolute": [member("up", linkname="/etc/passwd", **HARD)],
    "links in turn": [member("a/link", linkname="c/..", **LINK), member("a/link/../../../out")],
}


@pytest.mark.parametrize("case", ESCAPES)
def test_a_tar_that_leads_outside(fetched, tmp_path, case):
    (tmp_path / "secret").write_text("kept")
    archive = tarred(tmp_path / "x.tar.gz", member("first"), *ESCAPES[case])
    code, said = fetched(archive)
    assert code == 1
    assert said.count("\n") == 1
    assert said.startswith("cifar10: x.tar.gz: ")
    assert said.endswith("; not unpacked\n")
    assert any(words in said for words in ("leads outside its folder or through a link", "outside the destination",
                                           "a link to an absolute path"))  # fmt: skip
    assert [name for name in files(tmp_path) if not name.endswith("/link")] == [
        "data/.cifar10.partial/first", "secret", "x.tar.gz"]  # fmt: skip


@pytest.mark.parametrize("name", ["../out", "/tmp/transfer-bench-out", "a/../../out", "..\\out"])
def test_a_zip_that_leads_outside(fetched, tmp_path, name):
    code, said = fetched(zipped(tmp_path / "x.zip", first=b"1", **{name: b"2"}))
    assert (code, said.count("\n")) == (1, 1)
    assert "leads outside its folder" in said
    assert files(tmp_path) == ["x.zip"]


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_device(fetched, tmp_path, kind):
    code, said = fetched(tarred(tmp_path / "x.tar.gz", member("null", type=kind, devmajor=1, devminor=3)))
    assert code == 1
    assert "is a special file" in said
    assert list((tmp_path / "data" / ".cifar10.partial").iterdir()) == []


def test_nobody_gets_rights_by_an_archive(fetched, tmp_path):
    code, _ = fetched(tarred(tmp_path / "x.tar.gz", member("tool", mode=0o6777, uid=0), member("safe", mode=0o666)))
    assert code == 0
    modes = {path.name: path.stat().st_mode & 0o7777 for path in (tmp_path / "data" / "cifar10").iterdir()}
    assert modes == {"tool": 0o755, "safe": 0o644}


def test_links_that_stay_inside_are_made(fetched, tmp_path):
    archive = tarred(tmp_path / "x.tar.gz", member("a/one"), member("two", linkname="a/one", **LINK),
                     member("three", linkname="a/one", **HARD))
    assert fetched(archive)[0] == 0
    assert (tmp_path / "data" / "cifar10" / "two").read_bytes() == b"x"
    assert (tmp_path / "data" / "cifar10" / "three").read_bytes() == b"x"


def test_links_from_one_folder_into_another_are_made(fetched, tmp_path):
    """As sets have them whose splits are links to one folder of pictures."""
    link = member("train/x.txt", linkname="../data/x.txt", **LINK)
    archive = tarred(tmp_path / "x.tar.gz", member("data/x.txt"), link)
    assert fetched(archive)[0] == 0
    assert (tmp_path / "data" / "cifar10" / "train" / "x.txt").read_bytes() == b"x"


def test_archives_without_a_name(fetched, tmp_path):
    """Opened from their bytes."""
    unpacking.guard()
    one = io.BytesIO(tarred(tmp_path / "x.tar.gz", member("one")).read_bytes())
    two = io.BytesIO(zipped(tmp_path / "x.zip", two=b"2").read_bytes())
    for archive in (tarfile.open(fileobj=one), zipfile.ZipFile(two)):  # noqa: SIM115
        with archive:
            archive.extractall(tmp_path / "out")
    assert files(tmp_path / "out") == ["one", "two"]


def test_bombs(fetched, tmp_path, monkeypatch):
    """20 MB of zeros in 20 kB: 1000 times. Of that size it may be a mask; above a limit it is none."""
    archives = (tarred(tmp_path / "x.tar.gz", member("bomb", bytes(20_000_000))),
                zipped(tmp_path / "x.zip", bomb=bytes(20_000_000)))  # fmt: skip
    for archive in archives:
        with monkeypatch.context() as patch:
            patch.setattr(unpacking, "SMALL", 1_000_000)
            code, said = fetched(archive)
        assert code == 1
        assert f"{archive.name}: unpacks to more than 4 MB, the most for an archive of its size" in said
        assert files(tmp_path / "data") == []
    assert fetched(archives[1])[0] == 0


def test_a_full_disk_is_seen_before(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda place: type("", (), {"free": 10})())
    code, said = fetched(zipped(tmp_path / "x.zip", a=b"12345678901"))
    assert (code, files(tmp_path / "data")) == (1, [])
    assert "all that the disk has free" in said


def test_too_many_members(fetched, tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "MEMBERS", 3)
    for archive in (tarred(tmp_path / "x.tar.gz", *(member(f"a/{n}") for n in range(4))),
                    zipped(tmp_path / "x.zip", **{str(n): b"" for n in range(4)})):  # fmt: skip
        assert "more than 3 members; not unpacked" in fetched(archive)[1]


def test_a_name_too_long_and_one_that_moves_the_cursor(fetched, tmp_path):
    code, said = fetched(tarred(tmp_path / "x.tar.gz", member("n" * 300)))
    assert (code, said.count("\n")) == (1, 1)
    assert "File name too long" in said
    code, said = fetched(tarred(tmp_path / "x.tar.gz", member("\x1b[2J/../../out")))
    assert code == 1
    assert said.removesuffix("\n").isprintable()


def test_what_a_library_says_stays_on_its_line(monkeypatch, capfd):
    def fail(name):
        raise ValueError("\x1b[2J gone")

    monkeypatch.setattr(fetching, "_fetch_weights", fail)
    monkeypatch.setattr(fetching, "guard", lambda: None)
    assert fetching._main("weights", "x") == 1
    assert capfd.readouterr().err == "x: ValueError: \\x1b[2J gone\n"


def test_the_guard_is_on_in_the_process_that_fetches(monkeypatch):
    before = tarfile.TarFile.extractall, zipfile.ZipFile.extractall
    monkeypatch.setattr(tarfile.TarFile, "extractall", before[0])
    monkeypatch.setattr(zipfile.ZipFile, "extractall", before[1])
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    fetching._main("dataset", "no such set")
    assert tarfile.TarFile.extractall is not before[0]
    assert zipfile.ZipFile.extractall is not before[1]
