"""Archives are unpacked under guard: nothing lands outside their folder or becomes a device, and none fills the disk.

The libraries that fetch unpack by `extractall` of tarfile and zipfile, with filters or without. `guard` replaces both
for a whole process, which should do nothing but fetch (`fetching.py`).
"""

import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from bench.errors import BenchError

MEMBERS = 2_000_000  # of one archive; the largest sets have 1.3 million
ARCHIVES = (".tar", ".tar.gz", ".tgz", ".zip", ".gz")
RATIO = 200  # of unpacking; pictures do 1, tables 10, a bomb 1000 and more
BEGUN = ".unpacking"  # behind an archive's name: what came out of it is not whole
SMALL = 1 << 30  # bytes: what unpacks to less does no harm at any ratio


@dataclass
class _Counted:
    """What has come out of one archive."""

    archive: Path
    most: int  # bytes
    members: int = 0
    size: int = 0
    links: set[PurePosixPath] = field(default_factory=set)

    @staticmethod
    def of(archive: object, folder: object) -> "_Counted":
        """`archive`: its name. One that was opened without is held against the disk alone."""
        path, place = Path(str(archive)), Path(str(folder))
        free = shutil.disk_usage(next(one for one in (place, *place.absolute().parents) if one.exists())).free
        return _Counted(path, min(max(SMALL, RATIO * path.stat().st_size), free) if path.is_file() else free)

    def add(self, name: str, size: int) -> PurePosixPath:
        self.members += 1
        self.size += size
        if self.members > MEMBERS:
            raise BenchError(f"{self.archive.name}: more than {MEMBERS:,} members; not unpacked")
        if self.size > self.most:
            raise BenchError(f"{self.archive.name}: unpacks to more than {self.most / 1e6:,.0f} MB, the most for an "
                             "archive of its size, or all that the disk has free; not unpacked")
        return self.place(name)

    def place(self, name: str) -> PurePosixPath:
        """Nothing is written through a link, so links may lead wherever `data_filter` lets them."""
        path = PurePosixPath(name.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or not self.links.isdisjoint((path, *path.parents)):
            raise BenchError(f"{self.archive.name}: {name!r} leads outside its folder or through a link; not unpacked")
        return path


@contextmanager
def _marked(archive: Path) -> Iterator[None]:
    """A process that dies while it unpacks leaves the mark: half a folder looks like a whole one."""
    mark = archive.with_name(archive.name + BEGUN) if archive.is_file() else None
    if mark is not None:
        mark.touch()
    yield
    if mark is not None:
        mark.unlink(missing_ok=True)


def forget_halves(folder: Path) -> None:
    """Where unpacking was begun and not ended, nothing but the archives stays."""
    marks = list(folder.rglob(f"*{BEGUN}"))
    archives = {mark.with_name(mark.name.removesuffix(BEGUN)) for mark in marks}
    if marks:
        whole = {path for path in folder.rglob("*") if path in archives or path.name.endswith(ARCHIVES)}
        for path in sorted(folder.rglob("*"), reverse=True):  # what a folder holds goes before it
            if path.is_dir() and not path.is_symlink():
                if not any(path.iterdir()):
                    path.rmdir()
            elif path not in whole:
                path.unlink()


def guard() -> None:
    """For the rest of this process."""
    unpack_tar, unpack_zip = tarfile.TarFile.extractall, zipfile.ZipFile.extractall

    def tar(self: tarfile.TarFile, path: Any = ".", members: Any = None, **options: Any) -> None:
        counted = _Counted.of(self.name, path)

        def checked(member: tarfile.TarInfo, place: str) -> tarfile.TarInfo:
            path = counted.add(member.name, member.size)
            if member.islnk():
                counted.place(member.linkname)
            elif member.issym():
                counted.links.add(path)
            try:
                return tarfile.data_filter(member, place)  # no device, no right to run as somebody else
            except tarfile.FilterError as error:
                raise BenchError(f"{counted.archive.name}: {error}; not unpacked") from error

        with _marked(counted.archive):
            unpack_tar(self, path, members, **{**options, "filter": checked})

    def zipped(self: zipfile.ZipFile, path: Any = None, members: Iterable[Any] | None = None, pwd: Any = None) -> None:
        counted = _Counted.of(self.filename, path or ".")
        for member in self.infolist():
            counted.add(member.filename, member.file_size)
        with _marked(counted.archive):
            unpack_zip(self, path, members, pwd)

    tarfile.TarFile.extractall = tar  # type: ignore[method-assign]
    zipfile.ZipFile.extractall = zipped  # type: ignore[method-assign]
