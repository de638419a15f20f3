"""`python -m tests.faults.ray_nodes [--count 10] [--seed 1]`: a Ray cluster of three nodes without a shared disk.

A suite of 91 records on one process, on four, and on the cluster comes to the same records. Then `--count` nodes are
killed while they are at a job, two in each run, and another joins after each: every run has to end with 0 and without a
record of a crash. Then `--count` drivers are killed, in one folder until that has all records, then in the next;
whatever was whole stays as it is, and a last run has to find or make all records. All are compared to the bit.
"""

import argparse
import random
import time

from tests.datasets.pictured import COLOURS, class_folders
from tests.execute.clustered import clustered, on, started
from tests.execute.running import locks_are_free, numbers, record_files
from tests.faults.scene import SUITE, main, say, temporary_files, torn

TEXT = SUITE.replace("repeats: 2", "repeats: 12")
NUM_RECORDS = 1 + 2 * 3 * (3 + 12)
PER_RUN = 2  # nodes killed in one


def strike(count, seed, folder):
    draw = random.Random(seed)
    home = folder / "home"
    class_folders(home / "pictures" / "train", tuple(COLOURS), 12)
    class_folders(home / "pictures" / "test", tuple(COLOURS), 6, start=100)
    (folder / "suite.yaml").write_text(TEXT)
    wrong = []
    wrong += ended_well(started(folder, folder / "one", "--workers", 1), folder / "one")
    expected = numbers(folder / "one")
    pair = [started(folder, folder / "four", "--workers", 2) for _ in range(2)]  # more processes than cores, if need be
    wrong += [line for driver in pair for line in ended_well(driver, folder / "four")]
    wrong += differing(expected, folder / "four")
    with clustered(folder, 3) as nodes:
        wrong += ended_well(started(folder, folder / "nodes", *on(nodes)), folder / "nodes")
        wrong += differing(expected, folder / "nodes")
        tell(f"one process, four, three nodes: {len(expected)} records each", wrong)
        killed = number = 0
        while killed < count and number < count:
            place = folder / f"nodes-{number}"
            struck, lines = kill_nodes(nodes, place, min(PER_RUN, count - killed), draw)
            wrong += lines + differing(expected, place)
            killed, number = killed + struck, number + 1
        wrong += [f"only {killed} nodes were killed"] * (killed < count)
        tell(f"nodes killed: {killed}", wrong)
        killed = number = 0
        while killed < count and number < count:
            place = folder / f"drivers-{number}"
            struck, lines = kill_drivers(nodes, place, count - killed, draw)
            wrong += lines + differing(expected, place)
            killed, number = killed + struck, number + 1
        wrong += [f"only {killed} drivers were killed"] * (killed < count)
        tell(f"drivers killed: {killed}", wrong)
    return wrong


def tell(line, wrong):
    say(f"{line}; {len(wrong)} things went wrong so far")
    for one in wrong:
        say(f"  {one[:300]}")


def kill_nodes(nodes, place, most, draw):
    """How many were struck while they were at a job, and what went wrong. Another node joins after each."""
    driver = started(nodes.folder, place, *on(nodes))
    struck = 0
    for least in sorted(draw.sample(range(NUM_RECORDS * 2 // 3), most)):
        wait_for(least, place, driver)
        time.sleep(draw.uniform(0, 0.3))
        while not (victims := nodes.at_work()) and driver.poll() is None:
            time.sleep(0.02)
        if driver.poll() is not None:
            break
        nodes.kill(draw.choice(victims))
        nodes.add()
        struck += 1
    wrong = ended_well(driver, place)
    said = driver.said.read_text()
    say(f"{place.name}: {struck} nodes killed, {said.count('handed out again')} times jobs were handed out again")
    return struck, wrong + [f"{place.name}: a crash is recorded"] * (": crashed" in said)


def kill_drivers(nodes, place, most, draw):
    """How many were killed before all records were there, and what went wrong."""
    wrong, struck, is_whole = [], 0, False
    while struck < most and not is_whole:
        before = {path: path.read_bytes() for path in record_files(place)}
        driver = started(nodes.folder, place, *on(nodes))
        wait_for(len(before) + draw.randint(0, 12), place, driver)
        time.sleep(draw.uniform(0, 1.0))
        driver.kill()
        is_whole = driver.wait() == 0
        struck += not is_whole
        wrong += [f"{place.name}: {path} was lost or changed" for path, content in before.items()
                  if not path.exists() or path.read_bytes() != content]  # fmt: skip
        wrong += torn(place)
        if not locks_are_free(place):
            wrong.append(f"{place.name}: a lock is held")
    say(f"{place.name}: {len(record_files(place))} of {NUM_RECORDS} records after {struck} kills")
    return struck, wrong + ended_well(started(nodes.folder, place, *on(nodes)), place)


def wait_for(least, place, driver):
    while len(record_files(place)) < least and driver.poll() is None:
        time.sleep(0.02)


def ended_well(driver, place):
    code = driver.wait()
    said = driver.said.read_text()
    return [f"{place.name}: ended with {code}: {said[-500:]}"] if code or "Traceback" in said else []


def differing(expected, place):
    found = numbers(place)
    lines = [f"{place.name}: torn: {line}" for line in torn(place)]
    lines += [f"{place.name}: left over: {path}" for path in temporary_files(place)]
    if found.keys() != expected.keys():
        lines.append(f"{place.name}: {len(found)} records, not alike: {sorted(found.keys() ^ expected.keys())}")
    return lines + [f"{place.name}: {key} differs" for key in found.keys() & expected.keys()
                    if found[key] != expected[key]]


def read_options():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    options = read_options()
    main(lambda folder: strike(options.count, options.seed, folder))
