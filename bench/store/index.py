"""The second level of a store: what its files say, as read and checked before, in one SQLite file beside them.

It is derived, and never the truth. A row is good for one content of its record's file: every scan still reads each
file, and takes its row only where not a bit of the file has changed since (`sealed.checksum_of`). What that saves is
parsing and checking. No time or size of a file is believed. The file appears whole, and is never changed: a scan that
found many files without a row leaves a new one in its place. Deleted, damaged, or another version's, it is made anew.
"""

import contextlib
import hashlib
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

from bench.provenance import code_digest
from bench.store import atomic, sealed
from bench.store.folded import Folded, Row
from bench.store.reading import Known, read_regular

NAME = "index.sqlite"
FEWEST = 1000  # records without a row that are worth a new file
SHARE = 0.01  # and of all of them
BUFFER = 10_000  # rows that are kept back before anything is written
SHARED = 3  # so many of a row's last texts stand in a table of their own
COLUMNS = (*Row._fields, "checksum", "seal")
TABLES = (
    "CREATE TABLE made_by (code TEXT)",
    "CREATE TABLE texts (id INTEGER PRIMARY KEY, text TEXT)",
    f"CREATE TABLE records ({', '.join(COLUMNS)}, PRIMARY KEY (key)) WITHOUT ROWID",
)


class Index:
    """For one scan, which asks in the order of keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._texts: dict[str, str] = {}  # each kept once, however many rows have it
        self._is_sound = path.is_file()
        self._rows = self._read() if self._is_sound else iter(())
        self._row: Known | None = next(self._rows, None)
        self._new: list[Known] = []
        self._writer: _Writer | None = None
        self._num_new = self._num_all = 0

    def get(self, key: str, path: str) -> Folded | None:
        """What this file of `key` says, where that is known of exactly what it holds."""
        self._num_all += 1
        while self._row is not None and self._row[0].key < key:
            self._row = next(self._rows, None)
        if self._row is None or self._row[0].key != key:
            return None
        try:
            is_known = sealed.checksum_of(read_regular(path)) == self._row[1]
        except (OSError, ValueError):
            is_known = False
        return Folded(self._row[0]) if is_known else None

    def add(self, row: Row, checksum: bytes) -> Folded:
        """Of a record that was read and checked."""
        row = row._replace(asked=self._once(row.asked), saw=self._once(row.saw), provenance=self._once(row.provenance))
        self._num_new += 1
        self._new.append((row, checksum))
        if len(self._new) >= BUFFER:
            self._flush()
        return Folded(row)

    def keep(self) -> None:
        """Leaves a new file where that is worth it. Where none can be written, the next scan checks all files again."""
        if self._num_new >= max(FEWEST, SHARE * self._num_all):
            self._flush()
            if self._writer is not None:
                self._writer.finish()

    def close(self) -> None:
        if self._writer is not None:
            self._writer.discard()

    def _read(self) -> Iterator[Known]:
        """Rows that are as they were written, by key. A damaged file ends early."""
        try:
            with contextlib.closing(_opened(self.path, "?mode=ro&immutable=1")) as database:
                self._is_sound = database.execute("SELECT code FROM made_by").fetchall() == [(code_digest(),)]
                texts = {one: self._once(text) for one, text in database.execute("SELECT id, text FROM texts")}
                rows = database.execute(f"SELECT {', '.join(COLUMNS)} FROM records ORDER BY key")
                for *own, asked, saw, provenance, checksum, seal in rows if self._is_sound else ():
                    row = Row._make([*own, texts[asked], texts[saw], texts[provenance]])
                    if _seal((row, checksum)) == seal:
                        yield row, checksum
        except (sqlite3.Error, ValueError, TypeError, KeyError):
            self._is_sound = False

    def _once(self, text: str) -> str:
        return self._texts.setdefault(text, text)

    def _flush(self) -> None:
        with contextlib.suppress(sqlite3.Error, OSError):
            self._writer = self._writer or _Writer(self.path, takes_along=self._is_sound)
            self._writer.add(self._new)
        self._new = []


class _Writer:
    """Builds the next file beside the present one."""

    def __init__(self, path: Path, takes_along: bool) -> None:
        """`takes_along`: the present one's rows."""
        self.path = path
        self.temporary = atomic.temporary_in(path.parent)
        if takes_along:
            shutil.copyfile(path, self.temporary)
        self.database = _opened(self.temporary)
        self.database.execute("PRAGMA journal_mode = OFF")  # what was not finished is thrown away
        self.database.execute("PRAGMA synchronous = OFF")
        self.database.execute("BEGIN")
        if not takes_along:
            for line in TABLES:
                self.database.execute(line)
            self.database.execute("INSERT INTO made_by VALUES (?)", [code_digest()])
        self.ids: dict[str, int] = {text: one for one, text in self.database.execute("SELECT id, text FROM texts")}
        self.unused = max(self.ids.values(), default=0) + 1

    def add(self, known: list[Known]) -> None:
        rows = []
        for row, checksum in known:
            rows.append((*row[:-SHARED], *map(self._id, row[-SHARED:]), checksum, _seal((row, checksum))))
        marks = ", ".join("?" * len(COLUMNS))
        self.database.executemany(f"INSERT OR REPLACE INTO records VALUES ({marks})", rows)

    def _id(self, text: str) -> int:
        if text not in self.ids:
            self.ids[text], self.unused = self.unused, self.unused + 1
            self.database.execute("INSERT INTO texts VALUES (?, ?)", [self.ids[text], text])
        return self.ids[text]

    def finish(self) -> None:
        with contextlib.suppress(sqlite3.Error, OSError):
            self.database.execute("COMMIT")
            self.database.close()
            self.temporary.replace(self.path)

    def discard(self) -> None:
        with contextlib.suppress(sqlite3.Error, OSError):
            self.database.close()
            self.temporary.unlink(missing_ok=True)


def _opened(path: Path, how: str = "") -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path.absolute()))}{how}", uri=True, isolation_level=None)


def _seal(known: Known) -> bytes:
    """Ties what a row says to the content of the file that said it."""
    row, checksum = known
    return hashlib.sha256(checksum + "\0".join(row).encode()).digest()[:16]
