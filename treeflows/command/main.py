"""The command line: streams, signals and exit codes; the models are imported once a command is to run."""

import contextlib
import os
import signal
import sys
import threading
from pathlib import Path

from .options import parser


def main(argv=None):
    """Run one command; returns the exit code: 0, 1 if tables differ, 2 for bad input (one line on standard error)."""
    try:
        commands = parser()
        if "_ARGCOMPLETE" in os.environ:  # a shell asks what comes next
            import argcomplete

            argcomplete.autocomplete(commands)
        arguments = commands.parse_args(argv)
        if sys.stderr is None:  # else notes would land in standard output
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open for as long as the process is
        with _ending_in_order():
            return _answer(arguments)
    except KeyboardInterrupt:
        print("treeflows: interrupted", file=sys.stderr)
        return 130


def _answer(arguments):
    from .commands import one_line, run

    try:
        if sys.stdout is None:
            raise ValueError("standard output is closed")
        return run(arguments)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, TypeError, OverflowError, OSError, ImportError, MemoryError) as error:
        print(f"treeflows: error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


@contextlib.contextmanager
def _ending_in_order():
    """Have the signals that end a process raise, so that files half written are taken away."""
    told = []
    if threading.current_thread() is threading.main_thread():
        for number in (getattr(signal, name, None) for name in ("SIGTERM", "SIGHUP")):
            if number and signal.getsignal(number) is signal.SIG_DFL:  # one that is ignored, as nohup has it, stays so
                signal.signal(number, _end)
                told.append(number)
    try:
        yield
    finally:  # a process that called this one function ends as before, and what is forked from it
        for number in told:
            signal.signal(number, signal.SIG_DFL)


def _end(number, _frame):
    """End as the shell says that a signal ends a process."""
    raise SystemExit(128 + number)
