"""The compiled engine: counts, scores, partitions and applies; the package above it decides."""

import os
from importlib import import_module

# Threads that wait for work sleep, where the user has not said otherwise: by default those of GCC's OpenMP spin, and on
# a busy machine take time from the very thread that they wait for. The library reads this once, when it is loaded.
_told = os.environ.keys() & {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"}
if not _told:
    os.environ["OMP_WAIT_POLICY"] = "passive"
try:
    import_module(f"{__name__}.counting")
finally:
    if not _told:
        del os.environ["OMP_WAIT_POLICY"]
