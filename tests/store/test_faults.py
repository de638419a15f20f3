"""What a crash, a full disk or a rival can do to the folder. The work is in scripts/."""


def test_a_fault_at_any_system_call_leaves_the_old_or_the_new(run_script, memory_folder):
    seen = run_script("faults", folder=memory_folder)
    assert seen["problems"] == []
    assert len(seen["survived"]) == 7
    assert min(seen["survived"].values()) > 90, seen["survived"]
    print(f"{sum(seen['survived'].values())} faults survived: {seen['survived']}")  # noqa: T201  (pytest -rP shows it)


def test_killed_writers_lose_nothing_they_acknowledged(run_script):
    seen = run_script("kills", "30")
    assert seen["problems"] == []
    totals = seen["totals"]
    assert totals["failed"] == 0
    assert totals["left over"] == 0
    assert totals["acknowledged"] > 30
    assert totals["swept"] > 0, "no writer died within a write: the test has lost its teeth"
    print(totals)  # noqa: T201


def test_rivals_never_hold_one_lock_together_nor_spoil_one_file(run_script):
    seen = run_script("races", "300")
    assert seen == {"locks": [0] * 4, "weights": [0] * 4, "free beside a fork": True, "lock files left": []}
