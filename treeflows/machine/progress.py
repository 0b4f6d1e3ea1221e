"""A progress bar where somebody watches, and work side by side that can be stopped between its steps."""

import sys
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import contextmanager
from contextvars import ContextVar, copy_context
from threading import Event

_shown: ContextVar[bool] = ContextVar("shown", default=False)  # whether there is a bar already
_stop: ContextVar[Event | None] = ContextVar("stop", default=None)  # of work in a thread: the Event that ends it


class _Stopped(Exception):  # noqa: N818 - nothing is wrong: nobody waits for the work any longer
    """Ends work in a thread, at its next step."""


@contextmanager
def progress_bar(total, description, verbose):
    """A function of the number of steps done, with a bar on standard error if ``verbose`` and that is a terminal.

    It takes a new ``total`` and ``description``, too. Without rich installed there is no bar, and none within another.
    In work that `side_by_side` has stopped, the function raises.
    """
    if verbose and sys.stderr is not None and sys.stderr.isatty() and not _shown.get():
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ImportError:
            pass
        else:
            with Progress(console=Console(stderr=True), transient=True) as bar:
                task, token = bar.add_task(description, total=total), _shown.set(True)
                try:
                    yield lambda done, **told: bar.update(task, completed=done, **told)
                finally:
                    _shown.reset(token)
            return
    yield _step


def raise_if_stopped():
    """Raise in work that `side_by_side` has stopped."""
    stop = _stop.get()
    if stop is not None and stop.is_set():
        raise _Stopped


def _step(_done, **_told):
    raise_if_stopped()


def side_by_side(tasks, n_threads):
    """Results of functions without arguments, in order, each as soon as it and those before it are there.

    If one raises, or the caller is interrupted or gives up, the others end at their next step of progress and are
    waited for: a thread left behind would keep a core busy, and crash a process that exits under its feet.
    """
    outer, stop = _stop.get(), Event()

    def run(task):
        _stop.set(stop)
        return task()

    with ThreadPoolExecutor(n_threads) as pool:
        futures = [pool.submit(copy_context().run, run, task) for task in tasks]
        try:
            for future in futures:
                while not future.done():  # in turns: a wait without end would hear no outer stop
                    if outer is not None and outer.is_set():
                        raise _Stopped
                    wait([future], timeout=0.1)
                yield future.result()
        finally:
            stop.set()
            for future in futures:
                future.cancel()
