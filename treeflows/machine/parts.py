"""Parts: results of pure functions of arrays, kept in a folder under the name of all that they depend on.

A part's name is a hash of its function, of the version of the package and of what the function is given: what is
found under a name is right, whoever computed it. A part is written once, whole, with a checksum; one that is damaged is
as if it were not there. Workers are told names alone: of the folder, of a job (a function with what its parts share),
of the part.
"""

import contextlib
import hashlib
import json
import pickle
import secrets
import threading
import time
import traceback
import warnings
from contextvars import ContextVar
from functools import lru_cache
from importlib import import_module
from numbers import Integral
from pathlib import Path

import numpy as np

from .._version import __version__
from .archives import read_archive, whole_file, write_archive
from .errors import PartError, check_number
from .progress import progress_bar, raise_if_stopped, side_by_side
from .threads import n_threads
from .workers import Task, Workers, processes

FORMAT = 1  # of parts and of what is in them; part of every name
MOST_MENDED = 3  # times that a part is computed which cannot be read back
AT_ONCE = 16  # stages of a fit that wait for workers side by side
LONGEST_LITTER = 86_400  # seconds, after which a file half written is left over from a process that was killed
COLUMNS_AT_ONCE = 16  # of a table, that are copied to be hashed
MOST_TABLES = 64  # whose columns' hashes are remembered
WAITS_TO_TELL = 0.2  # seconds between updates of the bar

_run: ContextVar["Run | None"] = ContextVar("parts", default=None)
_names: ContextVar[tuple] = ContextVar("names", default=())  # what columns are called, step by step
_functions: dict = {}
_of_columns: dict[str, list[str]] = {}  # by the names of tables


@contextlib.contextmanager
def parts(folder, executor=None, *, threads=1, partial=False, verbose=0):
    """Learn in parts that are kept in a folder, so that a fit that ends early goes on where it was, on any executor.

    While this context is active, what models learn column by column, tree by tree and fold by fold is computed as
    parts: by the workers of an executor, or here, one after the other, if there is none. Each part is a file under a
    name that says all that it depends on. Fit again, after a crash, with other parameters or with columns appended, and
    parts that are there are read instead of computed. The model is the same, byte for byte, as without parts.

    Parameters
    ----------
    folder : str or path-like
        Where parts are kept; made if it is not there. Workers must see it under the same name. Several processes may
        use one folder at the same time.
    executor : Executor, callable, int or None, default=None
        Any ``concurrent.futures.Executor``: of processes, loky, MPI or Dask (``client.get_executor(pure=False)``). A
        process pool breaks when one of its workers is killed: a callable that makes one, such as
        ``functools.partial(ProcessPoolExecutor, 2)``, lets the fit go on with another. A number is that many processes
        of this machine, which die one by one. None computes here.
    threads : int, default=1
        Of each worker. Without an executor, those of the model's ``n_jobs`` are used.
    partial : bool, default=False
        Whether to fit an `AutoregressiveTreeFlow` of the parts that are there, and to compute none: a column whose tree
        is missing has its frequencies instead, whatever stands before it. Other columns lose nothing.
    verbose : int, default=0
        Whether to show a progress bar of parts, where there is a terminal.

    Yields
    ------
    run : object
        Counts: ``n_found`` parts that were in the folder, ``n_computed`` since, ``n_lost`` workers that died;
        ``figures()`` is a dict of these, of how many are left and how many are computed a second. ``missing`` are the
        names of the columns whose trees are missing from a partial model.

    Raises
    ------
    OSError
        If a part cannot be written; parts that are complete stay.
    PartError
        If a part kills its worker again and again, the executor takes no more or breaks for good; the message names the
        columns whose part it is, and how many parts are kept. A subclass of ValueError.

    Warns
    -----
    UserWarning
        If the folder holds parts of another version of the package, which are not used, or a partial model lacks trees.

    Notes
    -----
    A part of which workers died is given to others, five times at most. A criterion of your own is not computed in
    parts, since no name can say what it does. What a user's own estimator learns is not, either.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import numpy as np
    >>> import treeflows
    >>> X = np.random.default_rng(0).integers(0, 2, (1000, 5))
    >>> with TemporaryDirectory() as folder:
    ...     with treeflows.parts(folder) as first:
    ...         model = treeflows.AutoregressiveTreeFlow().fit(X)
    ...     with treeflows.parts(folder) as again:
    ...         copy = treeflows.AutoregressiveTreeFlow().fit(X)
    >>> first.n_computed > 0, again.n_computed
    (True, 0)
    """
    if isinstance(executor, Integral):
        check_number(executor, "executor", Integral, min_val=1)
        executor = processes(int(executor))
    elif executor is not None and not hasattr(executor, "submit") and not callable(executor):
        raise TypeError(f"executor must be an Executor, a function that makes one, or a number, got {executor!r}")
    check_number(threads, "threads", Integral, min_val=1)
    store = Store(folder)
    store.open()
    workers = None if executor is None else Workers(work, executor)
    try:
        with progress_bar(None, "parts", verbose) as show:
            run = Run(store, workers, threads, show, partial)
            token = _run.set(run)
            try:
                yield run
            finally:
                _run.reset(token)
        if run.missing:
            told = ", ".join(map(repr, run.missing))
            warnings.warn(
                f"no trees are in {folder} of {told}, which are told by frequencies", UserWarning, stacklevel=3
            )
    finally:
        if workers is not None:
            workers.close()


def pure(function):
    """Mark a function as one that parts may be computed by: of arrays and plain values, it returns a dict of arrays.

    Its result depends on its arguments alone, but for ``threads``, on which it must not depend.
    """
    _functions[_name_of(function)] = function
    return function


def computed(function, arrays, options, own=({},), *, depends=None, columns=(), threads=1, progress=None, rest=None):
    """Results of a pure function for several sets of arguments, each a part while `parts` is active.

    Parameters
    ----------
    function : callable
        Marked as `pure`.
    arrays : dict of str to ndarray or None
    options : dict
        Plain values that JSON holds.
    own : sequence of dict
        Of each result the further options.
    depends : sequence of object or None, default=None
        What each result depends on, in plain values, where that is not all arrays and options.
    columns : sequence of sequence of int
        Of each result the columns that it is a part of, for errors.
    threads : int
        Of a function that is called here.
    progress : callable or None
        Told now and then how many results there are.
    rest : callable or None
        Of a result's own options, what stands in its place in a partial model.

    Returns
    -------
    results : list of dict of str to ndarray
    """
    run = _run.get()
    if run is None:
        return [function(**arrays, **options, **each, threads=threads) for each in own]
    told = columns or [()] * len(own)
    return run.results(function, arrays, options, list(own), depends, told, threads, progress or _ignore, rest)


@contextlib.contextmanager
def called(names):
    """Have errors of parts call columns by these names, which further ones may call otherwise.

    Parameters
    ----------
    names : sequence
        Of each column its name, or whose code column it is.
    """
    token = _names.set((names, *_names.get()))
    try:
        yield
    finally:
        _names.reset(token)


def _called(columns):
    for names in _names.get():
        columns = dict.fromkeys(names[j] for j in columns)
    return list(columns)


def in_parts():
    """Whether `parts` is active: bool."""
    return _run.get() is not None


def on_workers():
    """Whether parts are computed by an executor: bool."""
    run = _run.get()
    return run is not None and run.workers is not None


def together(tasks, progress=None):
    """Results of functions without arguments, in order: side by side if they wait for workers, else one by one.

    ``progress`` is told how many are there.
    """
    if on_workers() and len(tasks) > 1:
        results = side_by_side(tasks, min(len(tasks), AT_ONCE))
    else:
        results = (task() for task in tasks)
    there = []
    with contextlib.closing(results):
        for result in results:
            there.append(result)
            if progress is not None:
                progress(len(there))
    return there


class Run:
    """What happens to parts while `parts` is active.

    Parameters
    ----------
    store : Store
    workers : Workers or None
    threads : int
        Of each worker.
    show : callable
        As `progress_bar` gives it.
    partial : bool
        Whether nothing is computed.

    Attributes
    ----------
    n_found : int
        Parts that were in the folder.
    n_computed : int
        Parts that were computed since.
    n_lost : int
        Workers that died over parts which others did later.
    seconds : float
        Since it began.
    missing : list of str
        Columns whose trees a partial model lacks.
    """

    def __init__(self, store, workers, threads, show, partial=False):
        self.store, self.workers, self.threads, self.show = store, workers, threads, show
        self.partial, self.missing = partial, []
        self.n_found = self.n_computed = self.n_wanted = 0
        self.lock, self.began, self.told = threading.Lock(), time.monotonic(), 0.0

    @property
    def n_lost(self):
        """Workers that died."""
        return 0 if self.workers is None else self.workers.n_lost

    @property
    def seconds(self):
        """Since it began."""
        return time.monotonic() - self.began

    def figures(self):
        """Counts, for programs.

        Returns
        -------
        figures : dict of str to number
        """
        return {
            "found": self.n_found,
            "computed": self.n_computed,
            "left": self.n_wanted - self.n_found - self.n_computed,
            "per_second": self.n_computed / max(self.seconds, 1e-9),
            "workers_lost": self.n_lost,
        }

    def results(self, function, arrays, options, own, depends, columns, threads, progress, rest=None):
        """Find or compute parts, as `computed` has them.

        Parameters
        ----------
        function, arrays, options, own, depends, columns, threads, progress, rest
            As `computed` takes them.

        Returns
        -------
        results : list of dict of str to ndarray
        """
        hashes: dict = {}
        if depends is None or self.workers is not None:
            hashes = {name: None if array is None else fingerprint(array) for name, array in arrays.items()}
        if depends is None:
            depends = [[hashes, options, each] for each in own]
        names = [digest(_name_of(function), on) for on in depends]
        results, missing = [None] * len(own), list(range(len(own)))
        self._count(n_wanted=len(own))
        job = None
        for trial in range(1 + MOST_MENDED):
            for i in missing:
                results[i] = self.store.read(names[i])
            left = [i for i in missing if results[i] is None]
            if trial == 0:
                self._count(n_found=len(own) - len(left))
            if not left:
                progress(len(own))
                return results
            missing = left
            if self.partial and rest is not None:
                for i in missing:
                    results[i] = rest(own[i])
                    self.missing += [name for name in _called(columns[i]) if name not in self.missing]
                return results
            if self.partial:
                raise PartError(
                    f"a part ({function.__name__}) is not in {self.store.folder}, and no model does without"
                )
            if self.workers is None:
                for n, i in enumerate(missing):
                    raise_if_stopped()
                    results[i] = function(**arrays, **options, **own[i], threads=threads)
                    self.store.write(names[i], results[i])
                    self._count(n_computed=1)
                    progress(len(own) - len(missing) + n + 1)
                return results
            if job is None:
                job = self.store.put_job(_name_of(function), options, arrays, hashes)
            self._send(
                function, job, [(names[i], own[i], columns[i]) for i in missing], len(own) - len(missing), progress
            )
        raise PartError(
            f"a part in {self.store.folder} cannot be read, though it was written {MOST_MENDED} times",
            _called(columns[missing[0]]),
        )

    def _send(self, function, job, wanted, n_before, progress):
        """Have workers compute parts."""
        client, store, done = secrets.token_hex(4), self.store, 0
        tasks = [
            Task(
                (str(store.root), job, json.dumps(own), name, client, self.threads),
                lambda name=name: store.n_starts(name, client),
                function.__name__,
                columns,
            )
            for name, own, columns in wanted
        ]

        def tell(n_done):
            nonlocal done
            raise_if_stopped()
            if n_done > done:
                self._count(n_computed=n_done - done)
                done = n_done
                progress(n_before + n_done)

        try:
            self.workers.run(tasks, tell)
        except PartError as error:
            kept = f"{store.n_parts():,} parts are kept in {store.folder}"
            raise PartError(error.problem, _called(error.columns), kept) from error.__cause__

    def _count(self, n_wanted=0, n_found=0, n_computed=0):
        with self.lock:
            self.n_wanted += n_wanted
            self.n_found += n_found
            self.n_computed += n_computed
            now = time.monotonic()
            if now - self.told > WAITS_TO_TELL:
                self.told = now
                told = "{computed} parts, {per_second:.1f} a second, {found} found, {workers_lost} workers lost"
                self.show(
                    self.n_found + self.n_computed, total=self.n_wanted, description=told.format(**self.figures())
                )


class Store:
    """A folder of parts, and of what workers need to compute them.

    Parameters
    ----------
    folder : str or path-like
    """

    def __init__(self, folder):
        self.folder, self.whole = Path(folder), set()
        self.root = self.folder.absolute() / f"{__version__}-{FORMAT}"

    def open(self):
        """Make the folder, sweep out what killed processes left half written, and tell of parts of other versions."""
        try:
            for name in ("parts", "jobs", "arrays", "starts"):
                (self.root / name).mkdir(parents=True, exist_ok=True)
        except PermissionError:
            if not self.folder.is_dir():
                raise
            return  # what is there can be read
        self._sweep()
        for other in sorted(self.folder.iterdir()):
            n_parts = sum(1 for _ in (other / "parts").glob("*.npz"))
            if n_parts and other.name != self.root.name:
                told = f"parts of treeflows {other.name}, which are not used: this is {self.root.name}"
                warnings.warn(f"{self.folder} holds {n_parts:,} {told}", UserWarning, stacklevel=4)

    def _sweep(self):
        probe = self.root / "starts" / secrets.token_hex(4)
        try:
            probe.touch()
            now = probe.stat().st_mtime  # by the clock of those files
            probe.unlink()
            for left in self.root.glob("*/.*.tmp"):
                if left.stat().st_mtime < now - LONGEST_LITTER:
                    left.unlink()
        except OSError:
            pass  # another process was faster, or nothing may be written: that is told when something must be

    def read(self, name):
        """A part: dict of str to ndarray; None if it is not there, or damaged."""
        try:
            told, arrays = read_archive(self._part(name))
        except (FileNotFoundError, ValueError):
            return None
        return arrays if told == {"part": name} else None

    def write(self, name, arrays):
        """Keep a part.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        with self._explained():
            write_archive(self._part(name), {"part": name}, arrays, synced=True)

    def n_parts(self):
        """How many parts are kept."""
        return sum(1 for _ in (self.root / "parts").glob("*.npz"))

    def put_job(self, function, options, arrays, hashes):
        """Write down a function with what its parts share, for workers; returns the job's name."""
        name = digest(function, [options, hashes])
        with self._explained():
            for key, array in arrays.items():
                if array is not None:
                    self._put_array(hashes[key], array)
            with whole_file(self.root / "jobs" / f"{name}.json") as file:
                file.write(json.dumps({"function": function, "options": options, "arrays": hashes}).encode())
        return name

    def _put_array(self, name, array):
        path = self._array(name)
        if name not in self.whole and (not path.exists() or _mapped(path, name) is None):
            with whole_file(path) as file:
                np.lib.format.write_array(file, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
        self.whole.add(name)

    def job(self, name):
        """The function, arrays and options of a job."""
        with self._explained():
            told = json.loads((self.root / "jobs" / f"{name}.json").read_bytes())
            arrays = {key: None if of is None else _array(self._array(of), of) for key, of in told["arrays"].items()}
        return _function(told["function"]), arrays, told["options"]

    def _array(self, name):
        return self.root / "arrays" / f"{name}.npy"

    def start(self, name, client):
        """Mark that a part is begun, for one client; returns how often it has been."""
        with self._explained(), self._starts(name, client).open("ab") as file:
            file.write(b".")
            return file.tell()

    def end(self, name, client):
        """Take the mark away."""
        self._starts(name, client).unlink(missing_ok=True)

    def n_starts(self, name, client):
        """How often a part has been begun that is not ended, for one client."""
        try:
            return len(self._starts(name, client).read_bytes())
        except OSError:
            return 0

    def _starts(self, name, client):
        return self.root / "starts" / f"{name}.{client}"

    def _part(self, name):
        return self.root / "parts" / f"{name}.npz"

    @contextlib.contextmanager
    def _explained(self):
        try:
            yield
        except OSError as error:
            told = f"no part can be kept in {self.folder}: {error.strerror or error}; those that are there stay"
            raise type(error)(error.errno, told, error.filename) from None


def work(root, job, own, name, client, threads):
    """Compute a part, in a worker; how often it was begun, and what it raised, or None.

    Parameters
    ----------
    root, job : str
    own : str
        JSON.
    name, client : str
    threads : int
    """
    _run.set(None)  # of a process that was forked inside the context
    n_starts = 1
    try:
        store = Store(Path(root).parent)
        if store.root != Path(root):
            raise PartError(f"a worker has treeflows {store.root.name}, but parts of {Path(root).name} are wanted")
        n_starts = store.start(name, client)
        if store.read(name) is None:  # else another was faster
            function, arrays, options = store.job(job)
            store.write(name, function(**arrays, **options, **json.loads(own), threads=n_threads(threads)))
        store.end(name, client)
    except Exception as error:
        error.add_note(f"in a worker:\n{traceback.format_exc()}")
        return n_starts, _that_travels(error)
    return n_starts, None


@lru_cache(maxsize=16)
def _array(path, name):
    """An array that all workers of a machine share, checked once in each."""
    array = _mapped(path, name)
    if array is None:
        raise PartError(f"{path} is damaged; it is written anew when the fit is run again")
    return array


def _mapped(path, name):
    """An array in a file; None if it is not what it is called."""
    try:
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError):
        return None
    return array if fingerprint(array) == name else None


def fingerprint(array):
    """A name of an array by what is in it: the SHA-256 of type, shape and bytes, in hexadecimal."""
    array = np.ascontiguousarray(array)
    array = array.astype(array.dtype.newbyteorder("<"), copy=False)
    told = hashlib.sha256(f"{array.dtype.str} {array.shape}".encode())
    if array.size:
        told.update(array.data.cast("B"))
    return told.hexdigest()


def fingerprints(table):
    """Names of the columns of a table by what is in them: list of str."""
    whole = fingerprint(table)
    if whole not in _of_columns:
        names = []
        for start in range(0, table.shape[1], COLUMNS_AT_ONCE):
            names += map(fingerprint, np.ascontiguousarray(table[:, start : start + COLUMNS_AT_ONCE].T))
        if len(_of_columns) >= MOST_TABLES:
            _of_columns.clear()
        _of_columns[whole] = names
    return _of_columns[whole]


def digest(function, on):
    """The name of what a function makes of something that is told in plain values: SHA-256, in hexadecimal."""
    told = json.dumps([FORMAT, __version__, function, on], sort_keys=True)
    return hashlib.sha256(told.encode()).hexdigest()


def _name_of(function):
    return f"{function.__module__}:{function.__qualname__}"


def _function(name):
    """The pure function of a name; none that is not marked as one."""
    module = name.partition(":")[0]
    if module.split(".")[0] != __package__.split(".")[0]:
        raise PartError(f"a job asks for {name}, which is no function of this package")
    import_module(module)
    if name not in _functions:
        raise PartError(f"a job asks for {name}, which is no function that makes parts")
    return _functions[name]


def _that_travels(error):
    """An error that arrives whole where it is sent."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever it is made of
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _ignore(_n_done):
    pass
