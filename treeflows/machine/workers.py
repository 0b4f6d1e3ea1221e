"""Tasks on any `concurrent.futures.Executor`, through the deaths of its workers.

A task catches what goes wrong in itself and returns it, so whatever a future raises is the engine's: a killed worker, a
broken pool, a lost connection. Then the task is submitted again. Each start of a task is marked where the client sees
it, since a pool that breaks fails all tasks that were submitted: only those that had started can be to blame.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import deque
from concurrent.futures import BrokenExecutor, Executor, ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing.connection import wait
from pathlib import Path

from .errors import PartError

MOST_FAILURES = 5  # of the engine's, after each of which a task is submitted again
ALONE = 2  # failures after which a task runs alone, so that it is known who kills workers
MOST_BREAKS = 5  # of executors in a row, while no task is begun


class Task:
    """One call.

    Parameters
    ----------
    arguments : tuple
        Of the function that workers run, which returns how often the task has started, and what it raised or None.
    starts : callable
        How often it has started by now: int.
    what : str
    columns : sequence of int
        What the task is and whose, for errors.
    """

    def __init__(self, arguments, starts, what, columns):
        self.arguments, self.starts, self.what, self.columns = arguments, starts, what, columns
        self.n_starts = self.n_failures = 0
        self.batch = None


class _Batch:
    """Tasks that one caller waits for."""

    def __init__(self, tasks):
        self.n_left, self.failure, self.is_over = len(tasks), None, False
        for task in tasks:
            task.batch = self


class Workers:
    """An executor and the tasks that it works on; several threads may wait for tasks of theirs.

    Parameters
    ----------
    function : callable
        What runs in workers.
    executor : Executor or callable
        A callable makes one, and makes another after it broke.
    """

    def __init__(self, function, executor):
        self.function = function
        self.make = None if hasattr(executor, "submit") and not isinstance(executor, type) else executor
        self.executor = executor if self.make is None else executor()
        self.lock, self.news = threading.Lock(), threading.Event()
        self.waiting, self.suspects, self.ended, self.in_flight = deque(), deque(), deque(), {}
        self.broken: BaseException | None = None
        self.refusal: tuple[str, BaseException | None] | None = None
        self.n_breaks = self.n_lost = 0

    def run(self, tasks, tell):
        """Run tasks to their ends.

        Parameters
        ----------
        tasks : list of Task
        tell : callable
            Told how many are done, at least every fifth of a second; what it raises ends the wait.

        Raises
        ------
        PartError
            If the engine fails at a task too often, or takes no more.
        """
        batch = _Batch(tasks)
        with self.lock:
            self.waiting.extend(tasks)
        try:
            while True:
                self.news.clear()
                with self.lock:
                    self._step()
                    if batch.failure is not None:
                        raise batch.failure
                    if self.refusal is not None:
                        told, cause = self.refusal
                        raise PartError(told, tasks[0].columns) from cause
                    n_done = len(tasks) - batch.n_left
                tell(n_done)
                if n_done == len(tasks):
                    return
                self.news.wait(0.2)
        finally:
            batch.is_over = True
            for future in [f for f, task in tuple(self.in_flight.items()) if task.batch is batch]:
                future.cancel()  # without the lock, as `_end` may be called
            with self.lock:
                for queue in (self.waiting, self.suspects):
                    for _ in range(len(queue)):
                        task = queue.popleft()
                        if task.batch is not batch:
                            queue.append(task)

    def close(self):
        """End the executor, if it was made here, once the tasks that run have ended."""
        if self.make is not None:
            self.executor.shutdown(wait=True)

    def _step(self):
        """Take in what has ended, and submit what may run."""
        changed = bool(self.ended)
        while self.ended:
            future = self.ended.popleft()
            self._settle(self.in_flight.pop(future), future)
        if self.broken is not None and not self.in_flight:
            self._renew()
        if self.broken is None and self.refusal is None:
            if self.suspects:
                if not self.in_flight:
                    self._submit(self.suspects)
            else:
                while self.waiting and self.broken is None and self.refusal is None:
                    self._submit(self.waiting)
        if changed:
            self.news.set()  # other threads' tasks may be among them

    def _submit(self, queue):
        task = queue[0]
        try:
            future = self.executor.submit(self.function, *task.arguments)
        except Exception as error:  # each engine has its own
            if self.make is None and not isinstance(error, BrokenExecutor):
                self.refusal = f"the executor takes no more work ({_told(error)})", error
            self.broken = error
            return
        queue.popleft()
        self.in_flight[future] = task
        future.add_done_callback(self._end)  # last: it may be called at once

    def _end(self, future):
        # no lock: an executor may call this while it holds its own, which `submit` waits for under ours
        self.ended.append(future)
        self.news.set()

    def _settle(self, task, future):
        try:
            n_starts, failure = future.result()
        except BaseException as error:  # CancelledError too, which is no Exception
            self._fail(task, error)
            return
        self.n_breaks, self.n_lost = 0, self.n_lost + max(n_starts - 1 - task.n_starts, 0)
        task.batch.n_left -= 1
        if failure is not None and task.batch.failure is None:
            task.batch.failure = failure

    def _fail(self, task, error):
        """Queue a task again that the engine has failed; one that had started may be to blame."""
        n_starts = task.starts()
        new, task.n_starts = n_starts - task.n_starts, n_starts
        if isinstance(error, BrokenExecutor):
            self.broken = error
            blamed = new
        else:
            blamed = max(new, 1)
        task.n_failures += blamed
        self.n_lost += new
        if blamed:
            self.n_breaks = 0
        if task.batch.is_over:
            return
        if task.n_failures > MOST_FAILURES:
            before = "" if n_starts else " before they began it"
            times = f"failed {task.n_failures} times{before}, the last time with {_told(error)}"
            task.batch.failure = PartError(f"the workers of a part ({task.what}) {times}", task.columns)
            task.batch.failure.__cause__ = error
        elif task.n_failures >= ALONE and isinstance(error, BrokenExecutor):
            self.suspects.append(task)
        elif blamed:
            self.waiting.append(task)
        else:
            self.waiting.appendleft(task)

    def _renew(self):
        """Make another executor in place of one that broke."""
        error = self.broken
        self.n_breaks += 1
        if self.make is None or self.n_breaks > MOST_BREAKS:
            told = f"the executor broke ({_told(error)})"
            if self.make is None:
                told += (
                    "; give a function that makes one, such as functools.partial(ProcessPoolExecutor, 2), and another "
                    "is made in its place"
                )
            else:
                told += f", {self.n_breaks} times in a row before it began a part"
            self.refusal = self.refusal or (told, error)
            return
        self.executor.shutdown(wait=False)
        time.sleep(0.02 * (self.n_breaks - 1))  # what breaks as it starts shall not spin
        self.executor, self.broken = self.make(), None


class Processes(Executor):
    """Processes that die one by one: each has a pool to itself, which is all that breaks, and another takes its place.

    A task whose process died fails with ChildProcessError.

    Parameters
    ----------
    n : int
        Processes.
    make : callable
        Makes a pool of one process.
    """

    def __init__(self, n, make):
        self.make, self.idle = make, deque(make() for _ in range(n))
        self.threads = ThreadPoolExecutor(n)

    def submit(self, function, /, *arguments, **options):
        """Have a process call a function: Future."""
        return self.threads.submit(self._call, function, arguments, options)

    def shutdown(self, wait=True, *, cancel_futures=False):
        """End the processes once the tasks that run have ended, which is waited for."""
        self.threads.shutdown(wait, cancel_futures=cancel_futures)
        while wait and self.idle:  # else they end as their pools are dropped
            self.idle.pop().shutdown()

    def _call(self, function, arguments, options):
        pool = self.idle.pop()  # there are as many as threads
        try:
            return pool.submit(function, *arguments, **options).result()
        except BrokenExecutor as error:
            pool.shutdown(wait=False)
            pool = self.make()
            raise ChildProcessError(str(error)) from None
        finally:
            self.idle.append(pool)


def processes(n):
    """What makes an executor of so many processes of this machine, which end when this one does.

    Where the platform has it, a server is forked for each that has imported what is imported here of this package, so
    that another process takes no time, and inherits no threads.
    """
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        from multiprocessing import forkserver  # which not every platform has

        package = Path(__file__).parents[1]
        other = Path.cwd() / package.name
        # the server looks for modules where it is started first: sources there, not compiled, are not what runs here
        if not other.exists() or other.samefile(package):
            context.set_forkserver_preload([name for name in sys.modules if name.partition(".")[0] == package.name])
        forkserver.ensure_running()  # it imports while the client reads its table
    return partial(Processes, n, partial(ProcessPoolExecutor, 1, mp_context=context, initializer=_end_with_parent))


def _end_with_parent():
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the client's to answer
    threading.Thread(target=_watch_parent, daemon=True).start()


def _watch_parent():
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _told(error):
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
