"""A progress bar where somebody watches."""

import sys
from contextlib import contextmanager


@contextmanager
def progress_bar(total, description, verbose):
    """A function of the number of steps done, with a bar on standard error if ``verbose`` and that is a terminal.

    Without rich installed there is no bar.
    """
    if verbose and sys.stderr is not None and sys.stderr.isatty():
        try:
            from rich.console import Console
            from rich.progress import Progress
        except ImportError:
            pass
        else:
            with Progress(console=Console(stderr=True), transient=True) as bar:
                task = bar.add_task(description, total=total)
                yield lambda done: bar.update(task, completed=done)
            return
    yield lambda done: None
