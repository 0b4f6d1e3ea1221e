"""exp, log and log1p: bit by bit like the readable ones, and within one unit in the last place; normal numbers."""

import numpy as np
import pytest
import readable_elementary

from treeflows._ext import elementary, normal

TINY, HUGE = 5e-324, np.finfo(float).max
SPECIAL = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, TINY, -TINY, HUGE, -HUGE, 2.3e-308, 2.0**-53, -(2.0**-53)]
EDGES = [-745.2, -745.1, -708.4, -746.0, 709.7, 709.79, 710.0, 0.5**0.5, 2**0.5, 0.5**0.5 - 1, 2**0.5 - 1]
rng = np.random.default_rng(0)
ANY_BITS = rng.integers(0, 2**64, 20_000, dtype=np.uint64).view(np.float64)
AROUND_ONE = 1 + rng.normal(size=5_000) * 10.0 ** rng.uniform(-16, 0, 5_000)
LARGE = rng.uniform(-750, 720, 10_000)
NUMBERS = np.concatenate([SPECIAL, EDGES, ANY_BITS, AROUND_ONE, AROUND_ONE - 1, LARGE])


@pytest.mark.parametrize("name", ["exp", "log", "log1p"])
def test_bits_are_those_of_the_readable_function(name):
    fast, readable = getattr(elementary, name)(NUMBERS), getattr(readable_elementary, name)(NUMBERS)
    told = ~np.isnan(readable)
    np.testing.assert_array_equal(np.isnan(fast), ~told)
    np.testing.assert_array_equal(fast[told].view(np.int64), readable[told].view(np.int64))


@pytest.mark.parametrize("name", ["exp", "log", "log1p"])
def test_error_is_below_one_unit_in_the_last_place(name):
    mpmath = pytest.importorskip("mpmath")
    x = NUMBERS[np.isfinite(NUMBERS)]
    x = x[{"exp": abs(x) < 745, "log": x > 0, "log1p": x > -1}[name]][::7]
    y = getattr(elementary, name)(x)
    x, y = x[np.isfinite(y)], y[np.isfinite(y)]
    with mpmath.workprec(160):
        exact = [getattr(mpmath, name)(mpmath.mpf(value)) for value in x.tolist()]
        units = np.spacing(abs(y)).tolist()
        error = [abs(float((b - a) / u)) for a, b, u in zip(exact, y.tolist(), units, strict=True)]
    assert max(error) < 1, x[np.argmax(error)]


@pytest.mark.parametrize("name", ["exp", "log", "log1p"])
def test_special_values_and_shapes(name):
    with np.errstate(all="ignore"):
        np.testing.assert_allclose(getattr(elementary, name)(SPECIAL[:7]), getattr(np, name)(SPECIAL[:7]), 1e-15)
    assert getattr(elementary, name)(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert getattr(elementary, name)(np.arange(6.0).reshape(2, 3).T).shape == (3, 2)
    assert getattr(elementary, name)(1).shape == ()


def test_normal_distribution_and_its_inverse_in_both_tails():
    mpmath = pytest.importorskip("mpmath")
    x = np.concatenate([rng.uniform(-37, 37, 400), rng.normal(size=100), [0.67448975, 0.6744897500001, 32**0.5]])
    p = np.concatenate([rng.random(150), 10.0 ** -rng.uniform(0, 300, 150), [0.075, 0.925, 1e-300]])
    with mpmath.workprec(160):
        wanted = [mpmath.ncdf(mpmath.mpf(value)) for value in x.tolist()]
        told = normal.ndtr(x).tolist()
        assert max(abs(a / b - 1) for a, b in zip(told, wanted, strict=True)) < 1e-15
        for value, z in zip(p.tolist(), normal.ndtri(p).tolist(), strict=True):
            lost = (mpmath.ncdf(mpmath.mpf(z)) - mpmath.mpf(value)) / mpmath.npdf(mpmath.mpf(z))
            assert abs(lost) < 1e-15 * max(1, abs(z)), value


def test_special_values_of_the_normal_distribution():
    np.testing.assert_array_equal(normal.ndtr([-np.inf, -40, 0, 9, np.inf, np.nan]), [0, 0, 0.5, 1, 1, np.nan])
    np.testing.assert_array_equal(normal.ndtri([0, 0.5, 1, -1, 2, np.nan]), [-np.inf, 0, np.inf, *[np.nan] * 3])
    assert normal.ndtr(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    assert normal.ndtri(0.5).shape == ()
