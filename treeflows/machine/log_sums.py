"""Sums of numbers that are given by their logarithms, the same bits on every processor."""

import numpy as np

from .._ext import elementary


def logsumexp(log_values, axis=-1):
    """Logarithm of the sum of exponentials along an axis; minus infinity where all are."""
    most = log_values.max(axis=axis, keepdims=True)
    most = np.where(np.isfinite(most), most, 0.0)
    total = elementary.exp(log_values - most).sum(axis=axis)
    return most.squeeze(axis) + elementary.log(total)


def softmax(log_values, axis=-1):
    """Exponentials as shares of their sum along an axis."""
    values = elementary.exp(log_values - log_values.max(axis=axis, keepdims=True))
    return values / values.sum(axis=axis, keepdims=True)
