"""`bench completion`: what a shell needs to complete this command, and the answers it then asks for."""

import os
from typing import Any

from bench.commands.output import note, say

PROGRAM = "transfer-bench"
ASKED = "_TRANSFER_BENCH_COMPLETE"  # set by the shell: `complete_bash`
INSTALL = {
    "bash": f"{PROGRAM} completion bash >> ~/.bashrc",
    "zsh": f"{PROGRAM} completion zsh > ~/.zfunc/_{PROGRAM}    # ~/.zfunc stands in fpath, before compinit",
    "fish": f"{PROGRAM} completion fish > ~/.config/fish/completions/{PROGRAM}.fish",
}


def show_completion(shell: str) -> int:
    from typer.completion import get_completion_script  # type: ignore[attr-defined]  # it is imported there

    say(f"# {INSTALL[shell]}")
    for line in get_completion_script(prog_name=PROGRAM, complete_var=ASKED, shell=shell).splitlines():
        say(line)
    note(f"to install: {INSTALL[shell]}")
    return 0


def answer(command: Any) -> int:
    """What a shell asks for."""
    from typer.completion import completion_init, shell_complete  # type: ignore[attr-defined]

    completion_init()
    return shell_complete(command, {}, PROGRAM, ASKED, os.environ[ASKED])
