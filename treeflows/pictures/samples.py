"""Pictures of data beside samples of a model: dependence, frequencies, pairs of numbers, images."""

import numpy as np

from ..learning.orders import mutual_information
from ..machine.threads import n_threads
from ..tables.intervals import as_codes, n_codes
from .axes import DATA, MODEL, data_and_samples, fitted_domain, make_axes, shortened, stream
from .histograms import Histogram, positions

MOST_NAMES = 30  # columns whose names have room beside a heat map
MOST_POINTS = 5_000  # of a scatter plot
MOST_BARS = 10  # categories of a column, in its panel of a grid


class DependenceDisplay:
    """Mutual information of every two columns: in the data, in samples of the model, and in its codes.

    Numbers count by the eighth of the data that they lie in, so that one measure serves all columns.

    A good model's samples depend on each other as the data do; codes of a good flow are nearly independent.

    Parameters
    ----------
    information : dict of str to ndarray of shape (n_columns, n_columns), float64
        For each table, by what it is called: the mutual information of its columns, nats. The diagonal is ignored.
    names : sequence of str
        Names of the columns.
    chance : float or None, default=None
        What two independent columns share on average by chance alone, since rows are finite, nats.

    Attributes
    ----------
    information, names, chance
        As given.
    ax_ : ndarray of matplotlib Axes of shape (n_tables,)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import DependenceDisplay, DiscreteTreeFlow
    >>> coin = np.random.default_rng(0).integers(0, 2, 1000)
    >>> X = np.column_stack([coin, coin])
    >>> display = DependenceDisplay.from_estimator(DiscreteTreeFlow(n_layers=2).fit(X), X, random_state=0)
    >>> {table: round(float(nats[0, 1]), 1) for table, nats in display.information.items()}
    {'data': 0.7, 'samples': 0.7, 'codes': 0.0}
    """

    def __init__(self, information, names, chance=None):
        self.information = information
        self.names = names
        self.chance = chance

    @classmethod
    def from_estimator(cls, model, X, *, random_state=None, ax=None):
        """Draw the dependence in a table, in as many sampled rows, and in the table's codes if the model makes codes.

        Chance is measured on the table with the values of each column shuffled.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        random_state : int, RandomState or None, default=None
            Draws the samples and shuffles; None continues with the estimator's own.
        ax : sequence of matplotlib Axes, default=None
            Where to draw: one for each table. None makes a figure.

        Returns
        -------
        display : DependenceDisplay
        """
        domain, rng = fitted_domain(model), stream(model, random_state)
        whole, samples = data_and_samples(model, X, rng)
        data, edges = as_codes(whole, domain.numeric)
        tables = {"data": data, "samples": as_codes(samples, domain.numeric, edges)[0]}
        if hasattr(model, "transform"):
            tables["codes"] = as_codes(model.distribution_.transform(whole, n_threads(model.n_jobs)), domain.numeric)[0]
        tables["shuffled"] = np.column_stack([rng.permutation(column) for column in data.T])
        k, threads = n_codes(domain), n_threads(model.n_jobs)
        information = {what: mutual_information(t, k, threads) for what, t in tables.items()}
        chance = _mean_of_pairs(information.pop("shuffled"))
        return cls(information, domain.column_names, chance).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw a heat map for each table, on one scale of colours.

        Parameters
        ----------
        ax : sequence of matplotlib Axes, default=None
            Where to draw: one for each table. None makes a figure.

        Returns
        -------
        display : DependenceDisplay
            The object itself.

        Raises
        ------
        ValueError
            If there is not one axes for each table.
        """
        n_tables, n_columns = len(self.information), len(self.names)
        named = n_columns <= MOST_NAMES
        side = max(3.2, 0.2 * n_columns) if named else 4.2
        self.ax_ = make_axes(ax, n_tables, (side * n_tables + 1.6, side + (1.2 if named else 0.6)))
        self.figure_ = self.ax_[0].figure
        from matplotlib.colors import PowerNorm

        diagonal = np.eye(n_columns, dtype=bool)
        top = max(table[~diagonal].max(initial=1e-3) for table in self.information.values())
        norm = PowerNorm(0.5, vmin=0, vmax=top)  # where dependence is weak the information goes as its square
        for i, (axes, (what, table)) in enumerate(zip(self.ax_, self.information.items(), strict=True)):
            shown = axes.imshow(np.ma.array(table, mask=diagonal), cmap="viridis", norm=norm, interpolation="nearest")
            axes.set_facecolor("0.85")  # of the diagonal
            axes.set_title(f"{what}: mean {_mean_of_pairs(table):.2g} nats", fontsize=10)
            if named:
                names = [shortened(name) for name in self.names]
                axes.set_xticks(range(n_columns), names, rotation=90, fontsize=8)
                axes.set_yticks(range(n_columns), names if i == 0 else [], fontsize=8)
            else:
                axes.set(xlabel="column", ylabel="column")
        by_chance = "" if self.chance is None else f"\n(mean by chance: {self.chance:.2g})"
        self.figure_.colorbar(shown, ax=list(self.ax_), label=f"mutual information, nats{by_chance}")
        return self


class MarginalsDisplay:
    """How frequent the categories of each column are, or how its numbers are spread, in data and in samples of a model.

    Parameters
    ----------
    data, samples : sequence of ndarray of shape (n_categories,), float64
        For each column, the frequencies of its categories; they sum to one.
    names : sequence of str
        Names of the columns.
    labels : sequence of sequences of str
        Per column, the names of its categories.
    histograms : sequence of (object or None), default=None
        Of columns of numbers, the bins that the frequencies are of, as `from_estimator` makes them; None for
        categories.

    Attributes
    ----------
    data, samples, names, labels, histograms
        As given.
    distance : ndarray of shape (n_columns,), float64
        Total variation distance of the two distributions of each column, between 0 and 1: the share of the rows that
        would have to change for them to be the same.
    ax_ : ndarray of matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow, MarginalsDisplay
    >>> X = np.random.default_rng(0).choice(["head", "tail"], (1000, 3))
    >>> display = MarginalsDisplay.from_estimator(AutoregressiveTreeFlow().fit(X), X, random_state=0)
    >>> display.labels[0], bool((display.distance < 0.1).all())
    (('head', 'tail'), True)
    """

    def __init__(self, data, samples, names, labels, histograms=None):
        self.data = data
        self.samples = samples
        self.names = names
        self.labels = labels
        self.histograms = histograms
        self.distance = np.array([np.abs(a - b).sum() / 2 for a, b in zip(data, samples, strict=True)])

    @classmethod
    def from_estimator(cls, model, X, *, max_columns=12, random_state=None, ax=None):
        """Draw the frequencies in a table and in as many sampled rows.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        max_columns : int, default=12
            Columns to draw at most: those that differ most.
        random_state : int, RandomState or None, default=None
            Draws the samples; None continues with the estimator's own.
        ax : sequence of matplotlib Axes, default=None
            Where to draw: one for each column drawn. None makes a figure.

        Returns
        -------
        display : MarginalsDisplay
        """
        domain = fitted_domain(model)
        tables = data_and_samples(model, X, stream(model, random_state))
        return cls.of_tables(domain, *tables).plot(max_columns=max_columns, ax=ax)

    @classmethod
    def of_tables(cls, domain, data, samples):
        """The display of two tables of codes and numbers of a domain, not drawn yet.

        Parameters
        ----------
        domain : Domain
        data, samples : ndarray of shape (n_rows, n_columns)

        Returns
        -------
        display : MarginalsDisplay
        """
        found, histograms = [], []
        for j, column in enumerate(domain.columns):
            pair = data[:, j], samples[:, j]
            histogram = Histogram.of(pair[0], column) if domain.numeric[j] else None
            histograms.append(histogram)
            if histogram is None:
                found.append([np.bincount(x.astype(np.int64), minlength=column.n_codes) / len(x) for x in pair])
            else:
                found.append([histogram.shares(x) for x in pair])
        of_data, of_samples = zip(*found, strict=True)
        return cls(of_data, of_samples, domain.column_names, domain.labels, histograms)

    def plot(self, *, max_columns=12, ax=None):
        """Draw bars for each column of categories and a histogram for each of numbers, those that differ most first.

        Histograms have the data filled and the samples as a line; a value that recurs is a stem of the height of its
        frequency, which is written where it is too high. The outer bins have all that lies beyond them.

        Parameters
        ----------
        max_columns : int, default=12
            Columns to draw at most.
        ax : sequence of matplotlib Axes, default=None
            Where to draw: one for each column drawn. None makes a figure.

        Returns
        -------
        display : MarginalsDisplay
            The object itself.

        Raises
        ------
        ValueError
            If there is not one axes for each column drawn.
        """
        columns = np.argsort(-self.distance, kind="stable")[:max_columns]
        across = min(4, len(columns))
        down = -(-len(columns) // across)
        histograms = self.histograms or [None] * len(self.names)
        bars = min(MOST_BARS, max(8 if histograms[j] else len(self.labels[j]) for j in columns))
        self.ax_ = make_axes(ax, len(columns), (2.9 * across, down * (1 + 0.22 * bars)), across)
        self.figure_ = self.ax_[0].figure
        for axes, j in zip(self.ax_, columns, strict=True):
            axes.set_title(f"{shortened(self.names[j], 24)}\ndistance {self.distance[j]:.3f}", fontsize=9)
            if histograms[j]:
                histograms[j].draw(axes, self.data[j], self.samples[j])
                continue
            names, data, samples = self._most_frequent(j)
            place = np.arange(len(names))
            axes.barh(place - 0.2, data, 0.4, color=DATA, label="data")
            axes.barh(place + 0.2, samples, 0.4, color=MODEL, label="samples")
            axes.set_yticks(place, names, fontsize=8)
            axes.tick_params(axis="x", labelsize=8)
            axes.set_ylim(len(names) - 0.5, -0.5)
        for axes, j in list(zip(self.ax_, columns, strict=True))[-across:]:
            if not histograms[j]:
                axes.set_xlabel("frequency", fontsize=8)
        if ax is None:
            handles = self.ax_[0].get_legend_handles_labels()
            self.figure_.legend(*handles, loc="outside upper center", ncols=2)
        else:
            self.ax_[0].legend(fontsize=8)
        return self

    def _most_frequent(self, j):
        """Names and frequencies of a column's categories in their order, rare ones of many summed up."""
        data, samples = self.data[j], self.samples[j]
        shown = np.arange(len(data))
        if len(data) > MOST_BARS:
            shown = np.sort(np.argsort(-np.maximum(data, samples), kind="stable")[: MOST_BARS - 1])
        names = [shortened(self.labels[j][v]) for v in shown]
        data_shown, samples_shown = data[shown], samples[shown]
        if len(shown) < len(data):
            names.append(f"{len(data) - len(shown)} others")
            data_shown = np.append(data_shown, data.sum() - data_shown.sum())
            samples_shown = np.append(samples_shown, samples.sum() - samples_shown.sum())
        return names, data_shown, samples_shown


class PairDisplay:
    """Two columns of numbers against each other: rows of the data, and rows sampled from the model.

    Parameters
    ----------
    data, samples : ndarray of shape (n_rows, 2), float64 or datetime64
        Points.
    names : tuple of two str
        Names of the columns.

    Attributes
    ----------
    data, samples, names
        As given.
    ax_ : ndarray of matplotlib Axes of shape (2,)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import PairDisplay, TreeFlowMixture
    >>> x = np.random.default_rng(0).normal(size=300)
    >>> model = TreeFlowMixture(numeric="auto", random_state=0).fit(np.column_stack([x, x**2]))
    >>> display = PairDisplay.from_estimator(model, np.column_stack([x, x**2]), random_state=0)
    >>> display.names, len(display.samples[0])
    (('x0', 'x1'), 300)
    """

    def __init__(self, data, samples, names):
        self.data = data
        self.samples = samples
        self.names = names

    @classmethod
    def from_estimator(cls, model, X, *, columns=None, random_state=None, ax=None):
        """Draw two columns of numbers of a table, and of as many sampled rows.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        columns : tuple of two str or int, default=None
            Names or numbers of the columns; None takes those that share most information.
        random_state : int, RandomState or None, default=None
            Draws the samples; None continues with the estimator's own.
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the data and the samples; None makes a figure.

        Returns
        -------
        display : PairDisplay

        Raises
        ------
        ValueError
            If the model has not two columns of numbers, or these are none.
        """
        domain = fitted_domain(model)
        data, samples = data_and_samples(model, X, stream(model, random_state))
        if columns is None:
            pairs = strongest_pairs(domain, data, 1, n_threads(model.n_jobs))
        else:
            pairs = [tuple(domain.index(column) for column in columns)]
        if not pairs or len(pairs[0]) != 2 or not domain.numeric[list(pairs[0])].all():
            raise ValueError("a picture of a pair needs two columns of numbers")
        return cls.of_tables(domain, data, samples, pairs[0]).plot(ax=ax)

    @classmethod
    def of_tables(cls, domain, data, samples, pair):
        """The display of two columns, by their numbers, of tables of a domain, not drawn yet.

        Parameters
        ----------
        domain : Domain
        data, samples : ndarray of shape (n_rows, n_columns), float64
        pair : tuple of two int

        Returns
        -------
        display : PairDisplay
        """
        found = []
        for table in (data, samples):
            points = table[:, list(pair)]
            points = points[~np.isnan(points).any(axis=1)][:MOST_POINTS]
            found.append([positions(domain.columns[j], x) for j, x in zip(pair, points.T, strict=True)])
        of_data, of_samples = found
        return cls(of_data, of_samples, tuple(domain.column_names[j] for j in pair))

    def plot(self, *, ax=None):
        """Draw a scatter plot of either table, on the same axes, which leave out at most a few rows in a thousand.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the data and the samples; None makes a figure.

        Returns
        -------
        display : PairDisplay
            The object itself.

        Raises
        ------
        ValueError
            If there are not two axes.
        """
        self.ax_ = make_axes(ax, 2, (9, 4.2))
        self.figure_ = self.ax_[0].figure
        tables = {"data": (self.data, DATA), "samples": (self.samples, MODEL)}
        for axes, (what, ((x, y), color)) in zip(self.ax_, tables.items(), strict=True):
            alpha = float(np.clip(1000 / max(len(x), 1), 0.15, 0.7))
            axes.scatter(x, y, s=5, alpha=alpha, color=color, linewidths=0, rasterized=True)
            axes.set_title(f"{what}: {len(x):,} rows", fontsize=10)
            axes.set_xlabel(shortened(self.names[0], 24), fontsize=9)
            axes.tick_params(labelsize=8)
        self.ax_[0].set_ylabel(shortened(self.names[1], 24), fontsize=9)
        limits = [_limits(np.concatenate(both)) for both in zip(self.data, self.samples, strict=True)]
        for axes in self.ax_:
            axes.set(xlim=limits[0], ylim=limits[1])
        return self


def strongest_pairs(domain, table, most, threads):
    """Pairs of columns of numbers that share most information: list of tuples of two int."""
    codes, _ = as_codes(table, domain.numeric)
    shared = mutual_information(codes, n_codes(domain), threads)
    numbers = np.flatnonzero(domain.numeric)
    pairs = [(i, j) for a, i in enumerate(numbers.tolist()) for j in numbers[a + 1 :].tolist()]
    return sorted(pairs, key=lambda pair: -shared[pair])[:most]


def _limits(x):
    """Ends of an axis that leaves out the outermost thousandth of points where they are far off."""
    if not len(x):
        return 0, 1
    x = np.sort(x)
    low, high = x[len(x) // 1000], x[-1 - len(x) // 1000]
    room = (high - low) / 4
    low, high = max(x[0], low - room), min(x[-1], high + room)
    margin = (high - low) / 20
    if not margin:
        margin = np.timedelta64(1, "D") if x.dtype.kind == "M" else 1.0
    return low - margin, high + margin


class ImageGalleryDisplay:
    """Contact sheets of images: rows of the data, and rows sampled from the model.

    Parameters
    ----------
    data, samples : ndarray of shape (n_images, n_rows, n_columns), float64
        Images, light where low.
    levels : tuple of float
        Lowest and highest level that a pixel can have.

    Attributes
    ----------
    data, samples, levels
        As given.
    ax_ : ndarray of matplotlib Axes of shape (2,)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from treeflows import AutoregressiveTreeFlow, ImageGalleryDisplay
    >>> X = load_digits().data > 7
    >>> flow = AutoregressiveTreeFlow(order="natural").fit(X)
    >>> display = ImageGalleryDisplay.from_estimator(flow, X, shape=(8, 8), n_images=20, random_state=0)
    >>> display.samples.shape
    (20, 8, 8)
    """

    def __init__(self, data, samples, levels):
        self.data = data
        self.samples = samples
        self.levels = levels

    @classmethod
    def from_estimator(cls, model, X, *, shape, n_images=50, random_state=None, ax=None):
        """Draw images of a table and samples of a model.

        A pixel is as dark as its category is high: numbers by their value, other categories by their place among all
        categories of the table, sorted.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns)
            A row is an image, line by line from the top.
        shape : tuple of two int
            Lines and columns of an image.
        n_images : int, default=50
            Images of the data, drawn from ``X``, and samples: so many of each, as far as ``X`` has rows.
        random_state : int, RandomState or None, default=None
            Draws the images and the samples; None continues with the estimator's own.
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the data and the samples; None makes a figure.

        Returns
        -------
        display : ImageGalleryDisplay

        Raises
        ------
        ValueError
            If images of this shape do not have as many pixels as the table has columns.
        """
        domain = fitted_domain(model)
        model.refuse_numbers("a gallery of images")
        n_columns = len(domain.columns)
        if len(shape) != 2 or shape[0] * shape[1] != n_columns:
            raise ValueError(f"shape must be the lines and columns of images of {n_columns} pixels, got {shape!r}")
        rng = stream(model, random_state)
        codes = model.filled_codes(X)
        codes = codes[rng.permutation(len(codes))[:n_images]]
        sampled = model.filled_codes(model.sample(len(codes), random_state=rng))
        levels = _pixel_levels(domain.columns)
        data, samples = (
            np.column_stack([level[code] for level, code in zip(levels, table.T, strict=True)]).reshape(-1, *shape)
            for table in (codes, sampled)
        )
        every = np.concatenate(levels)
        return cls(data, samples, (float(np.nanmin(every)), float(np.nanmax(every)))).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw both sheets.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw the data and the samples; None makes a figure.

        Returns
        -------
        display : ImageGalleryDisplay
            The object itself.

        Raises
        ------
        ValueError
            If there are not two axes.
        """
        sheets = [_contact_sheet(images) for images in (self.data, self.samples)]
        height, width = sheets[0].shape
        self.ax_ = make_axes(ax, 2, (10, 0.4 + 5 * height / width))
        self.figure_ = self.ax_[0].figure
        low, high = self.levels
        for axes, sheet, title in zip(self.ax_, sheets, ("data", "samples"), strict=True):
            axes.imshow(sheet, cmap="gray_r", vmin=low, vmax=high, interpolation="nearest")
            axes.set_title(title)
            axes.set(xticks=[], yticks=[])
        return self


def _mean_of_pairs(information):
    """Mean of a symmetric table without its diagonal; 0 where there is nothing else."""
    n_columns = len(information)
    return float((information.sum() - np.trace(information)) / max(n_columns * (n_columns - 1), 1))


def _pixel_levels(columns):
    """For each column, the level of each of its codes, NaN where it stands for no value: list of ndarray of float64."""
    values = [c.values[c.most_common] for c in columns]
    if not all(v.dtype.kind in "biuf" for v in values):
        every = np.unique(np.concatenate([v.astype(str) for v in values]))
        values = [np.searchsorted(every, v.astype(str)) for v in values]
    return [
        np.append(v.astype(np.float64), np.full(c.missing + c.unseen, np.nan))
        for v, c in zip(values, columns, strict=True)
    ]


def _contact_sheet(images):
    """Images side by side in lines of ten, a pixel apart."""
    n, height, width = images.shape
    across = min(10, n)
    down = -(-n // across)
    sheet = np.full((down * (height + 1) - 1, across * (width + 1) - 1), np.nan)
    for i, image in enumerate(images):
        top, left = i // across * (height + 1), i % across * (width + 1)
        sheet[top : top + height, left : left + width] = image
    return sheet
