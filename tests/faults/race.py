"""`python -m tests.faults.race [--count 1000]`: two processes write one page, and two one record.

Both read it after each write. It must always be whole, one writer's or the other's, and no write may fail.
"""

import argparse
import os
import traceback
from pathlib import Path

import bench.report
from bench.store import Record, Store
from tests.faults.scene import main, say, table, temporary_files

WRITERS = 2
KEY = "ab" + "0" * 30


def write_page(root, number):
    bench.report.render = lambda results, gate: page_of(number)  # its drawing is not what races
    bench.report.write(None, root / "page.html")


def page_of(number):
    return f"writer {number}\n" * 20_000


def page_is_whole(root):
    return (root / "page.html").read_text() in {page_of(number) for number in range(WRITERS)}


def record_of(number):
    return Record(KEY, "final", "failed", {"lr": 0.1}, error=f"writer {number} " * 2_000)


def write_record(root, number):
    Store(root).write(record_of(number))


def record_is_whole(root):
    return Store(root).read(KEY) in [record_of(number) for number in range(WRITERS)]


RACES = {"page": (write_page, page_is_whole), "record": (write_record, record_is_whole)}


def write_and_read(root, number, count, race):
    """How many writes failed and how many readings saw something torn; in a fork."""
    write, is_whole = race
    errors = torn = 0
    for _ in range(count):
        try:
            write(root, number)
            torn += not is_whole(root)
        except Exception:
            errors += 1
            if errors == 1:
                traceback.print_exc()
    return errors, torn


def race_of(root, count, race):
    """Errors and torn readings of all writers."""
    root.mkdir()
    children = []
    for number in range(WRITERS):
        child = os.fork()
        if child == 0:
            try:
                (root / f"{number}.seen").write_text("{} {}".format(*write_and_read(root, number, count, race)))
            finally:
                os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    seen = [[int(part) for part in (root / f"{number}.seen").read_text().split()] for number in range(WRITERS)]
    return tuple(map(sum, zip(*seen, strict=True)))


def race_all(folder: Path, count):
    os.fsync = lambda descriptor: None  # the machine lives on; without waiting for its disk there is more of a race
    rows, wrong = [], []
    for name, race in RACES.items():
        errors, torn = race_of(folder / name, count, race)
        left = len(temporary_files(folder / name))
        rows.append((name, WRITERS * count, errors, torn, left))
        if errors or torn or left:
            wrong.append(f"{name}: {errors} errors, {torn} torn, {left} temporary files of {WRITERS * count} writes")
    table(("file", "writes", "errors", "torn", "temporary files"), rows)
    say(f"{len(wrong)} wrong")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=1000, help="writes of each process")
    options = parser.parse_args()
    main(lambda folder: race_all(folder, options.count))
