"""Random draws that are the same on every platform."""

import numpy as np
from sklearn.utils import check_random_state


def generator(random_state):
    """The stream of a ``random_state`` in scikit-learn's meaning: PCG64, the same on every platform."""
    words = check_random_state(random_state).randint(0, 2**32, size=4, dtype=np.uint32)
    return np.random.Generator(np.random.PCG64(words))


def uniform_blocks(n_rows, n_columns, rng):
    """Uniform draws for a table in blocks that bound their memory: (first row, ndarray of shape (n, n_columns))."""
    step = max(1, 1_000_000 // n_columns)
    for start in range(0, n_rows, step):
        yield start, rng.random((min(step, n_rows - start), n_columns))
