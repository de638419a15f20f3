"""Started once as a process of its own: forks `python -m bench` commands that share one warm worker server.

A server's start takes ten seconds and more; thirty commands cannot each pay it. Each line of standard input is one
command; the answer is its pid, and its exit code appears in a file. All else is the real thing: real signals reach a
real process, whose workers are real.
"""

import json
import os
import sys
import threading
import traceback
from multiprocessing import forkserver
from pathlib import Path


def answer(request):
    pid = os.fork()
    if pid == 0:
        run(request)
    threading.Thread(target=note_exit, args=(pid, Path(request["exit"])), daemon=True).start()
    return pid


def note_exit(pid, path):
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    path.with_suffix(".part").write_text(str(code))
    path.with_suffix(".part").rename(path)


def run(request):
    from bench import cli

    code = 1
    try:
        os.setsid()
        for number, path in ((0, "/dev/null"), (1, request["stdout"]), (2, request["stderr"])):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
            os.dup2(descriptor, number)
            os.close(descriptor)
        os.environ.update(request["environment"])
        if request["own_server"]:
            os.execv(sys.executable, [sys.executable, "-m", "bench", *request["arguments"]])
        # The old ones remember what they wrote to, and whether one can seek there.
        sys.stdout, sys.stderr = (open(number, "w", buffering=1, closefd=False) for number in (1, 2))  # noqa: SIM115
        sys.argv = ["bench", *request["arguments"]]
        cli.main()
        code = 0
    except SystemExit as stop:
        code = stop.code or 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def drawn_quickly(results, gate=None, figures=None):
    """Instead of the page, whose drawing takes five seconds of each command. It is written as the page is."""
    return f"<html>\n{results.finals[['dataset', 'strategy', 'repeat', 'status', 'score']].to_html()}\n</html>\n" * 20


def main():
    # All that a command imports, so that the forks have it.
    import bench.analysis.join
    import bench.commands.run
    import bench.report
    from bench import fork_server

    bench.report.render = drawn_quickly

    fork_server.fork(int).join()  # once the server has imported everything
    # The server is this process's child, so a fork cannot ask the kernel whether it lives.
    forkserver._forkserver.ensure_running = lambda: None
    forkserver.ensure_running = lambda: None
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    for line in sys.stdin:
        pid = answer(json.loads(line))
        sys.stdout.write(f"{pid}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
