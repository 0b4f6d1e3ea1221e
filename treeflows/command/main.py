"""The command line: streams, signals and exit codes; the models are imported once a command is to run."""

import os
import signal
import sys
import threading
from pathlib import Path

from .options import parser


def main(argv=None):
    """Run one command; returns the exit code: 0, or 2 for bad input with one line on standard error."""
    try:
        arguments = parser().parse_args(argv)
        if sys.stderr is None:  # else notes would land in standard output
            sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115 - open for as long as the process is
        _end_in_order()
        from .commands import one_line, run
    except KeyboardInterrupt:
        return _interrupted()
    try:
        if sys.stdout is None:
            raise ValueError("standard output is closed")
        run(arguments)
    except BrokenPipeError:  # the reader of our output, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        return _interrupted()
    except (ValueError, TypeError, OverflowError, OSError, ImportError, MemoryError) as error:
        print(f"treeflows: error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def _interrupted():
    print("treeflows: interrupted", file=sys.stderr)
    return 130


def _end_in_order():
    """Have the signals that end a process raise, so that files half written are taken away."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number and signal.getsignal(number) is signal.SIG_DFL:  # one that is ignored, as nohup has it, stays so
            signal.signal(number, _end)


def _end(number, _frame):
    """End as the shell says that a signal ends a process."""
    raise SystemExit(128 + number)
