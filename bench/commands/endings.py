"""What an error comes to: the lines that a person reads, and the exit code."""

from bench.errors import FAULT, INCOMPLETE, INTERRUPTED, SIGNALLED, BenchError, fault


def ending(error: BaseException) -> tuple[str, int]:
    if isinstance(error, BenchError):
        return str(error), error.exit_code
    if isinstance(error, OSError):
        from bench.store.atomic import explain, is_known  # with pydantic, which `--help` does without

        if is_known(error):
            return f"{error.filename or 'a file'}: {explain(error)}", INCOMPLETE
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > SIGNALLED:
        return "", error.code  # a second signal, which a run obeys at once
    return fault(error), FAULT
