"""A progress bar where somebody watches."""

import sys


def track(steps, description, verbose):
    """Iterate over a sequence of steps, with a bar on standard error if ``verbose`` and that is a terminal.

    Without rich installed there is no bar.
    """
    if not verbose or not sys.stderr.isatty():
        return steps
    try:
        from rich.console import Console
        from rich.progress import track as rich_track
    except ImportError:
        return steps
    return rich_track(steps, description=description, console=Console(stderr=True), transient=True)
