"""Trees of tables that do not fit into memory: ``python -m benchmarks.large ROWS FOLDER [MEMORY]``.

Rows are drawn from a tree flow of 16 columns of msnbc and packed to a folder, once; then a process of its own fits a
tree flow in natural order and tells seconds, processor seconds, the most memory, and nats a row above the model that
the rows are drawn from. MEMORY, in bytes, is what `PackedTable` takes.
"""

import resource
import subprocess
import sys
from itertools import product
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter, process_time

import numpy as np

from treeflows import AutoregressiveTreeFlow, PackedTable, pack

from .common import load

N_COLUMNS = 16
STEP = 2**18  # rows


def truth():
    """Every row of 16 binary columns, and its log-probability."""
    codes, _ = load("msnbc")
    flow = AutoregressiveTreeFlow(order="natural", categories=[[0, 1]] * N_COLUMNS).fit(codes[:, :N_COLUMNS])
    rows = np.array(list(product([0, 1], repeat=N_COLUMNS)), dtype=np.uint8)
    return rows, flow.score_samples(rows)


def draw(n_rows, folder):
    """Pack rows that are drawn from the model."""
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    rows, log_prob = truth()
    ends = np.cumsum(np.exp(log_prob))
    rng = np.random.default_rng(0)
    schema = pa.schema({f"page {j}": pa.dictionary(pa.int8(), pa.string()) for j in range(N_COLUMNS)})
    with TemporaryDirectory(dir=Path(folder).parent) as temporary:
        path = Path(temporary) / "rows.parquet"
        with ParquetWriter(path, schema) as writer:
            for start in range(0, n_rows, STEP):
                which = np.searchsorted(ends, rng.random(min(STEP, n_rows - start)) * ends[-1])
                drawn = np.ascontiguousarray(rows[which].astype(np.int8).T)
                cells = [pa.DictionaryArray.from_arrays(of_column, ["no", "yes"]) for of_column in drawn]
                writer.write_batch(pa.record_batch(cells, schema=schema))
        pack(path, folder)


def fit(folder, memory=None):
    """Fit, and tell what it took."""
    table = PackedTable(folder, memory=memory)
    start, used = perf_counter(), process_time()
    flow = AutoregressiveTreeFlow(order="natural", n_jobs=-1).fit(table)
    seconds, used = perf_counter() - start, process_time() - used
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    rows, log_prob = truth()
    flow_says = flow.distribution_.score(rows, 1)
    excess = float(np.sum(np.exp(log_prob) * (log_prob - flow_says)))
    print(f"{table.n_rows:,} rows: {seconds:.1f} s, {used:.1f} s of CPU, {most:.2f} GB, excess {excess:.2e} nats")


if __name__ == "__main__":
    if sys.argv[1] == "fit":
        fit(sys.argv[2], *map(float, sys.argv[3:]))
    else:
        if not Path(sys.argv[2]).exists():
            draw(int(float(sys.argv[1])), sys.argv[2])
        subprocess.run([sys.executable, "-m", "benchmarks.large", "fit", *sys.argv[2:]], check=True)
