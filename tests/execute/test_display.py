"""What a person sees of a run, on a terminal and in a log."""

import io
import os
import re
import threading

import pytest

from bench.execute.display import Display, duration
from tests.execute.running import TRAININGS


class Closed(io.StringIO):
    def write(self, text):
        raise BrokenPipeError


def shown(total, jobs, workers=1):
    stream = io.StringIO()
    return Display(total, jobs, workers, stream), stream


def test_one_line_per_job_with_what_is_left():
    display, stream = shown(total=100.0, jobs=4)
    display.advance(25.0, 50.0)
    display.finished("near @ 5 · scratch", "ok 0.500", 50.04)
    assert stream.getvalue() == "[1/4] near @ 5 · scratch: ok 0.500, 50.0 s, about 2 min 30 s left\n"


def test_the_estimate_shares_what_is_left_among_the_workers():
    display, stream = shown(total=100.0, jobs=4, workers=2)
    display.advance(25.0, 50.0)
    display.finished("a", "ok", 1)
    assert stream.getvalue().endswith(", about 1 min 15 s left\n")


def test_what_another_runner_did_is_left_out_of_the_estimate():
    display, stream = shown(total=100.0, jobs=4)
    display.advance(25.0, 50.0)
    display.drop(50.0)
    display.finished("a", "ok", 1)
    assert stream.getvalue().endswith(", about 50 s left\n")


def test_nothing_is_estimated_from_nothing():
    display, stream = shown(total=100.0, jobs=4)
    display.finished("a", "done by another runner", 0)
    assert stream.getvalue() == "[1/4] a: done by another runner, 0.0 s\n"


def test_the_last_job_leaves_nothing():
    display, stream = shown(total=1.0, jobs=1)
    display.advance(1.0, 1.0)
    display.finished("a", "ok", 1)
    assert "left" not in stream.getvalue()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.4, "59 s"), (59.6, "1 min 00 s"), (3599.6, "1 h 00 min"), (90_000, "25 h 00 min"),
     (3 * 86400, "3 days"), (1.7e12, "53,870 years")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


def test_names_cannot_command_the_terminal_or_break_the_line():
    display, stream = shown(total=1.0, jobs=2)
    display.finished("a\x1b[2J\nb\r", "ok", 1)
    display.say("c\x07d")
    assert stream.getvalue() == "[1/2] a?[2J?b?: ok, 1.0 s\nc?d\n"


def test_a_reader_that_left_stops_nothing():
    stream = Closed()
    display = Display(1.0, 1, 1, stream)
    with pytest.raises(BrokenPipeError):
        stream.write("nobody reads this")
    assert display.finished("a", "ok", 1) is None  # neither raises
    assert display.say("b") is None


class Terminal:
    """The other side of a pseudo terminal: what a screen was sent."""

    def __init__(self):
        self._ours, self._theirs = os.openpty()
        self.name = os.ttyname(self._theirs)
        self._parts = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        while True:
            try:
                part = os.read(self._ours, 65536)
            except OSError:  # nobody has it open any more
                return
            self._parts.append(part)

    def close(self):
        os.close(self._theirs)
        self._reader.join(10)
        os.close(self._ours)
        return b"".join(self._parts).decode()


def test_names_are_not_markup_on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm")
    terminal = Terminal()
    with open(terminal.name, "w") as stream:  # noqa: PTH123  a device
        display = Display(10.0, 2, 1, stream)
        display.running(["[bold]a[/nonsense] {0}", "b"])
        display.advance(1.0, 2.0)
        display.finished("a", "ok", 1)
        display.say("[/x] said")
        display.close()
    seen = terminal.close()
    assert "[bold]a[/nonsense] {0} and 1 more" in seen
    assert "[/x] said" in seen
    assert "about 18 s left" in seen


@pytest.mark.parametrize("columns", [80, 60])
def test_a_narrow_terminal_takes_from_the_title_alone(monkeypatch, columns):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(columns))
    terminal = Terminal()
    with open(terminal.name, "w") as stream:  # noqa: PTH123  a device
        display = Display(100.0, 16, 1, stream)
        display.running(["shapes @ 5 · small_resnet (source) · full_finetune · search 0", "b"])
        display.advance(25.0, 400.0)
        display.finished("a", "ok", 1)
        display.close()
    lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.close()).replace("\r", "\n").splitlines()
    (last,) = {line for line in lines if "left" in line}
    assert last.startswith("shapes @ 5")
    assert " 1/16 0:00:00 about 20 min 00 s left" in last
    assert len(last.rstrip()) <= columns


def test_a_run_on_a_terminal_draws_bars_and_leaves_the_cursor(launcher, tmp_path):
    terminal = Terminal()
    command = launcher.run(tmp_path, stderr=terminal.name)
    code = command.wait()
    seen = terminal.close()
    assert code == 0, seen
    assert seen.count("\x1b[?25l") == seen.count("\x1b[?25h") == 1  # hidden and shown again
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", seen)
    assert "7/7" in text
    assert "\x1b" not in text
    assert re.search(r"near @ 2 · \w+ · (search|repeat)", text)


def test_a_run_in_a_log_has_one_line_per_job(unbroken):
    lines = unbroken[1].stderr.splitlines()
    assert [line.split("]")[0] for line in lines] == [f"[{n}/7" for n in range(1, 8)]
    assert all(re.fullmatch(r"\[\d/7\] .+: (ok|best) \d\.\d{3}(, collapsed)?, \d+\.\d s(, about .+ left)?", line)
               for line in lines)  # two steps train nothing
    assert unbroken[1].summary()["trainings"] == TRAININGS
