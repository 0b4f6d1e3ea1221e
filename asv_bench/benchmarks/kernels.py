"""The co-occurrence kernel against its bound, and importing the package."""

from timeit import default_timer

import numpy as np

from treeflows._ext import isa
from treeflows._ext.counting import Counter, aligned, pairwise_cooccurrences

N_ROWS, N_COLUMNS = 50_000, 784


class Cooccurrence:
    """The complete table of 50,000 rows of 784 bits on two threads, on every instruction set."""

    params = isa.available()
    param_names = ("isa",)
    number = 1  # a counter keeps the table that it counted, so every sample gets a fresh one

    def setup(self, name):
        """Draw bits; the bound gets them as planes."""
        isa.use(name)
        rows = np.random.default_rng(0).integers(0, 2, (N_ROWS, N_COLUMNS), dtype=np.uint8)
        self.counter = Counter(rows, np.full(N_COLUMNS, 2), 2)
        packed = np.packbits(1 - rows.T, axis=1, bitorder="little")
        self.planes = aligned((N_COLUMNS, -(-N_ROWS // 512) * 8), np.uint64)
        self.planes.view(np.uint8)[:, : packed.shape[1]] = packed

    def time_table(self, name):
        """Seconds of the tiled kernel."""
        self.counter.cooccurrences([0], self.counter.slabs[0])

    def time_bare_loop(self, name):
        """Seconds of one popcount loop for each pair: the bound."""
        pairwise_cooccurrences(self.planes, 2)

    def track_ratio_to_bare_loop(self, name):
        """Both in turn, the ratio of their medians."""
        tiled, bare = [], []
        for _ in range(9):
            self.setup(name)
            for seconds, work in ((tiled, self.time_table), (bare, self.time_bare_loop)):
                start = default_timer()
                work(name)
                seconds.append(default_timer() - start)
        return np.median(tiled) / np.median(bare)

    track_ratio_to_bare_loop.unit = "ratio"


class Import:
    """A fresh interpreter that imports the package, and one that imports scikit-learn."""

    def timeraw_import_treeflows(self):
        """Seconds."""
        return "import treeflows"

    def timeraw_import_sklearn(self):
        """Seconds."""
        return "import sklearn"
