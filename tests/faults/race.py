"""`python -m tests.faults.race [--count 1000]`: two processes write one page, and two one record.

Both read it after each write. It must always be whole, one writer's or the other's, and no write may fail.
"""

import argparse
import os
import traceback
from dataclasses import replace
from pathlib import Path

import bench.report
from bench.store import Store, encoding
from tests.execute.plans import of_kind, record_of, tiny_plan
from tests.faults.scene import main, say, table, temporary_files

WRITERS = 2


def pages(root):
    return [f"writer {number}\n" * 20_000 for number in range(WRITERS)]


def write_page(root, text):
    bench.report.render = lambda results, gate, figures: text  # its drawing is not what races
    bench.report.write(None, root / "page.html")


def read_page(root):
    return (root / "page.html").read_text()


def records(root):
    plan, roots, _ = tiny_plan(root)
    record = record_of(of_kind(plan, "final")[0], roots)
    each = [replace(record, provenance={"writer": f"{number} " * 10_000}) for number in range(WRITERS)]
    return [encoding.decode(encoding.encode(one), one.key) for one in each]  # tuples become lists in a file


def write_record(root, record):
    Store(root).write(record)


def read_record(root):
    (key,) = Store(root).scan()[0]
    return Store(root).read(key)


RACES = {"page": (pages, write_page, read_page), "record": (records, write_record, read_record)}


def write_and_read(root, contents, own, count, race):
    """How many writes failed and how many readings saw something torn; in a fork."""
    _, write, read = race
    errors = torn = 0
    for _ in range(count):
        try:
            write(root, own)
            torn += read(root) not in contents
        except Exception:
            errors += 1
            if errors == 1:  # the others will be of its kind
                traceback.print_exc()
    return errors, torn


def race_of(root, count, race):
    """Errors and torn readings of all writers."""
    root.mkdir()
    contents, children = race[0](root), []
    for number, own in enumerate(contents):
        child = os.fork()
        if child == 0:
            try:
                (root / f"{number}.seen").write_text("{} {}".format(*write_and_read(root, contents, own, count, race)))
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
