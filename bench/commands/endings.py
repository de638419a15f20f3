"""What an error comes to: the lines that a person reads, and the exit code."""

from bench.errors import FAULT, INCOMPLETE, INTERRUPTED, SIGNALLED, BenchError, fault, file_of_traceback


def ending(error: BaseException) -> tuple[str, int]:
    if isinstance(error, BenchError):
        return str(error), error.exit_code
    if isinstance(error, OSError) and error.filename is not None:  # of a file that a person can name and mend
        from bench.store.atomic import explain, is_known  # with pydantic, which `--help` does without

        if is_known(error):
            file = file_of_traceback(error)  # it may be a mistake of ours all the same
            where = f"; the traceback is in {file}" if file is not None else ""
            return f"{error.filename}: {explain(error)}{where}", INCOMPLETE
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", INTERRUPTED
    if isinstance(error, SystemExit) and isinstance(error.code, int) and error.code > SIGNALLED:
        # A second signal, which a run obeys at once.
        return "stopped at once; finished trainings are kept, and the same command goes on from there", error.code
    return fault(error), FAULT
