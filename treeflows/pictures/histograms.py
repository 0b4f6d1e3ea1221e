"""Columns of numbers in pictures: histograms with what recurs apart."""

from dataclasses import dataclass

import numpy as np

from ..tables.quantities import MOST_FEW, Quantity
from .axes import DATA, MODEL

N_BINS = 30
ATOM_SHARE = 0.05  # of the rows, that a value must have to stand apart from the bins
MOST_ATOMS = 6
TAIL = 0.005  # of the rows on either side, which may lie beyond the outer bins
ROOM = 0.25  # of the width, by which the bins are extended if all rows then lie within


@dataclass(frozen=True, eq=False)
class Histogram:
    """Bins of a column of numbers.

    Attributes
    ----------
    edges : ndarray of shape (n_bins + 1,), float64
        Of bins of equal width, on a lattice of as many points each; the outer ones take what lies beyond.
    atoms : ndarray of shape (n_atoms,), float64
        Values that recur often, which are in no bin.
    quantity : Quantity
        What the numbers are of.
    """

    edges: np.ndarray
    atoms: np.ndarray
    quantity: Quantity

    @classmethod
    def of(cls, numbers, quantity):
        """The bins of a column.

        Parameters
        ----------
        numbers : ndarray of shape (n_rows,), float64
            NaN where missing.
        quantity : Quantity
            What they are numbers of.
        """
        x, step = numbers[~np.isnan(numbers)], quantity.step
        value, count = np.unique(x, return_counts=True)
        atoms = np.empty(0)
        if len(value) > MOST_FEW:
            often = np.flatnonzero(count >= ATOM_SHARE * len(x))
            atoms = np.sort(value[often[np.argsort(-count[often], kind="stable")[:MOST_ATOMS]]])
        rest = x[~np.isin(x, atoms)]
        if not len(rest):
            rest = x if len(x) else np.zeros(1)
        low, high = np.quantile(rest, [TAIL, 1 - TAIL], method="inverted_cdf")
        room = ROOM * (high - low)
        low, high = max(rest.min(), low - room), min(rest.max(), high + room)
        if step > 0:
            n_points = round((high - low) / step) + 1
            per_bin = -(-n_points // N_BINS)
            edges = low - step / 2 + step * per_bin * np.arange(-(-n_points // per_bin) + 1)
        else:
            half = (high - low) / 2 or max(abs(low), 1.0) / 2
            edges = np.linspace((low + high) / 2 - half, (low + high) / 2 + half, N_BINS + 1)
        return cls(edges, atoms, quantity)

    def shares(self, numbers):
        """Shares of the rows in each bin, at each atom, and missing: ndarray of shape (n_bins + n_atoms + 1,)."""
        missing, n_bins = np.isnan(numbers), len(self.edges) - 1
        place = np.clip(np.searchsorted(self.edges, numbers, side="right") - 1, 0, n_bins - 1)
        for i, atom in enumerate(self.atoms):
            place[numbers == atom] = n_bins + i
        place[missing] = n_bins + len(self.atoms)
        return np.bincount(place, minlength=n_bins + len(self.atoms) + 1) / max(len(numbers), 1)

    def draw(self, axes, data, samples):
        """Draw shares of data, filled, and of samples, as a line; values that recur as stems."""
        from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num

        n_bins = len(self.edges) - 1
        edges, atoms = (positions(self.quantity, numbers) for numbers in (self.edges, self.atoms))
        if self.quantity.is_time:
            edges, atoms = date2num(edges), date2num(atoms)
        axes.stairs(data[:n_bins], edges, fill=True, color=DATA, alpha=0.6, label="data")
        axes.stairs(samples[:n_bins], edges, color=MODEL, linewidth=1.4, label="samples")
        highest = max(data[:n_bins].max(), samples[:n_bins].max(), 1e-9)
        of_data, of_samples = data[n_bins:-1], samples[n_bins:-1]
        top = 1.15 * max(highest, min(3 * highest, max([0.0, *of_data, *of_samples])))
        shift = 0.006 * (edges[-1] - edges[0])
        axes.vlines(atoms - shift, 0, of_data, color=DATA, linewidth=2)
        axes.vlines(atoms + shift, 0, of_samples, color=MODEL, linewidth=2)
        axes.set_ylim(0, top)
        beyond = [
            f"{self._told(atom)}: {a:.0%} | {b:.0%}"
            for atom, a, b in zip(self.atoms, of_data, of_samples, strict=True)
            if max(a, b) > top
        ]
        if data[-1] or samples[-1]:
            beyond.append(f"missing: {data[-1]:.1%} | {samples[-1]:.1%}")
        if beyond:
            axes.text(0.97, 0.95, "\n".join(beyond), transform=axes.transAxes, ha="right", va="top", fontsize=8)
        axes.tick_params(axis="both", labelsize=8)
        axes.yaxis.set_major_formatter(lambda share, _: f"{share:.3g}")
        if self.quantity.is_time:
            locator = AutoDateLocator(maxticks=5)
            axes.xaxis.set_major_locator(locator)
            axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
        else:
            axes.xaxis.get_major_locator().set_params(nbins=5)

    def _told(self, atom):
        position = positions(self.quantity, np.array([atom]))[0]
        return str(position.astype("datetime64[D]")) if self.quantity.is_time else f"{position:.6g}"


def positions(quantity, numbers):
    """Where numbers of a quantity lie on an axis: as their cells say, times as such."""
    told = numbers + quantity.origin * quantity.tick[0] / max(quantity.tick[1], 1)
    return (told * 1e6).astype("datetime64[us]") if quantity.is_time else told
