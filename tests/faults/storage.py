"""`python -m tests.faults.storage [case ...]`: disks that fill up or turn read-only, folders that go or are no folders.

A run that cannot keep its results ends with another code than 0 (and than 1, which means regressed) and one line that
says why; once the fault is gone, the next one makes everything whole. Two cases mount a small disk in memory, for which
one must be root; they are skipped elsewhere, and that is said.
"""

import argparse
import contextlib
import shutil
import subprocess

from tests.execute.running import record_files, until
from tests.faults.scene import NUM_RECORDS, differences, main, say, scene, table, torn

DISK = "8m"


class Skipped(Exception):
    """This machine does not allow it."""


@contextlib.contextmanager
def small_disk(place):
    place.mkdir()
    line = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", place]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode:
        raise Skipped(done.stderr.strip())
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", place], check=True)


def when_under_way(the_scene, place, act, count=6):
    """The command, after `act()` once there were so many records."""
    command = the_scene.run(place)
    until(lambda: len(record_files(place)) >= count or (command.folder / "exit").exists(), f"{count} records")
    assert not (command.folder / "exit").exists(), f"ended before: {command.stderr}"
    act()
    return command


def fill(place):
    with contextlib.suppress(OSError), (place / "filling").open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)


def disk_full(the_scene, place):
    with small_disk(place):
        yield when_under_way(the_scene, place, lambda: fill(place))
        yield the_scene.run(place)
        (place / "filling").unlink()
        yield None


def read_only(the_scene, place):
    """From before a run: while one goes on, its logs are open, and the system refuses to remount."""
    with small_disk(place):
        shutil.copytree(the_scene.unbroken, place, dirs_exist_ok=True)
        record_files(place)[0].unlink()
        subprocess.run(["mount", "-o", "remount,ro", place], check=True)
        yield the_scene.launcher.start(
            "run", place / "suite.yaml", "--results", place / "results", "--reports", place / "reports"
        )
        subprocess.run(["mount", "-o", "remount,rw", place], check=True)
        yield None


def folder_deleted(the_scene, place):
    yield when_under_way(the_scene, place, lambda: shutil.rmtree(place / "results", ignore_errors=True))
    yield None


def file_for_folder(*parts):
    def case(the_scene, place):
        path = place.joinpath(*parts)
        path.parent.mkdir(parents=True)
        path.write_text("no folder")
        yield the_scene.run(place)
        path.unlink()
        yield None

    return case


def unwritable_page(the_scene, place):
    """A folder where the page should be."""
    (place / "reports" / "small.html").mkdir(parents=True)
    yield the_scene.run(place)
    (place / "reports" / "small.html").rmdir()
    yield None


CASES = {
    "disk full": disk_full,
    "read-only": read_only,
    "results deleted while running": folder_deleted,
    "a file for results": file_for_folder("results"),
    "a file for results/small": file_for_folder("results", "small"),
    "a file for runs": file_for_folder("results", "small", "runs"),
    "a file for pretrained": file_for_folder("results", "pretrained"),
    "a file for the cache": file_for_folder("results", ".cache"),
    "a file for reports": file_for_folder("reports"),
    "a folder for the page": unwritable_page,
}
UNHARMED = {"a file for the cache"}  # everything is kept in memory instead


def what_happened(the_scene, name, place):
    """Exit codes under the fault, the last line told, what is wrong."""
    codes, told, wrong = [], "", []
    for command in CASES[name](the_scene, place):
        if command is not None:
            codes.append(code := command.wait())
            told = (command.stderr.strip().splitlines() or [""])[-1]
            if code in (0, 1) and name not in UNHARMED:
                wrong.append(f"{name}: ended with {code}: {told}")
            if "Traceback" in command.stderr:
                wrong.append(f"{name}: a traceback: {command.stderr[-300:]!r}")
            wrong += [f"{name}: torn: {line}" for line in torn(place)]
            continue
        healing = the_scene.run(place)
        if healing.wait() != 0:
            wrong.append(f"{name}: afterwards: {healing.stderr[-300:]!r}")
        wrong += [f"{name}: afterwards: {line}" for line in differences(place, the_scene)]
    return codes, told, wrong


def storage(folder, names):
    rows, wrong = [], []
    with scene(folder) as the_scene:
        for name in names or CASES:
            place = folder / name.replace(" ", "-").replace("/", "-")
            try:
                codes, told, found = what_happened(the_scene, name, place)
            except Skipped as error:
                rows.append((name, "", "skipped", str(error)))
                continue
            wrong += found
            rows.append((name, " ".join(map(str, codes)), "no" if found else "yes", told[:110]))
    table(("fault", "exit", "survived", "the last line"), rows)
    say(f"{len(rows)} cases, {len(wrong)} wrong; whole means all of {NUM_RECORDS} records equal to the bit")
    return wrong


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("cases", nargs="*", metavar="case", help=", ".join(CASES))
    options = parser.parse_args()
    main(lambda folder: storage(folder, options.cases))
