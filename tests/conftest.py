"""Fixtures, and random tables of small domains."""

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

import treeflows
from treeflows._ext import isa

SHARED = Path(__file__).resolve().parents[2] / "shared"

settings.register_profile(
    "treeflows", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
settings.load_profile("treeflows")


@pytest.fixture(params=isa.available())
def each_isa(request):
    """Run the test on every instruction set of the machine."""
    before = isa.current()
    isa.use(request.param)
    yield request.param
    isa.use(before)


def shared_file(name):
    """A file of the folder of shared data; the test is skipped where there is none."""
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"shared data not present: {name}")
    return path


@pytest.fixture
def shared_npz():
    """Load a dataset of the shared folder."""
    return lambda name: np.load(shared_file(f"data/{name}.npz"))


@pytest.fixture
def shared_path():
    """Path of a file of the shared folder."""
    return shared_file


@pytest.fixture
def file_of(tmp_path):
    """What a model is on disk."""

    def write(model):
        treeflows.save(model, tmp_path / "model")
        return (tmp_path / "model").read_bytes()

    return write


def random_table(seed, n_rows, n_categories):
    """Rows with dependent columns: mixtures of a few prototypes and noise, codes as int64."""
    rng = np.random.default_rng(seed)
    n_categories = np.asarray(n_categories)
    prototypes = rng.integers(0, 2**31, (4, len(n_categories))) % n_categories
    rows = prototypes[rng.choice(4, n_rows, p=[0.5, 0.25, 0.15, 0.1])]
    noise = rng.integers(0, 2**31, rows.shape) % n_categories
    return np.where(rng.random(rows.shape) < 0.35, noise, rows)


def whole_domain(n_categories):
    """Every row of the domain."""
    return np.array(list(itertools.product(*map(range, n_categories))))


def declared(n_categories):
    """Domains as the ``categories`` parameter takes them."""
    return [np.arange(k) for k in n_categories]


def small_tables(most_categories=5):
    """Strategy: (codes, n_categories) over domains of, with few categories, at most a few thousand rows."""
    sizes = st.lists(st.integers(1, most_categories), min_size=1, max_size=5)
    return st.builds(
        lambda seed, n_rows, k: (random_table(seed, n_rows, k), k),
        st.integers(0, 2**32 - 1),
        st.integers(1, 300),
        sizes,
    )
