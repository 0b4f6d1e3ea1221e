"""Pictures of likelihood: what layers, states and members bring, and the rows that a model hardly expects."""

import numpy as np

from .axes import fitted_domain, make_axes, shortened


class LikelihoodCurveDisplay:
    """Negative log-likelihood against what a model is made of: layers, hidden states, or members.

    Parameters
    ----------
    curves : dict of str to (ndarray of shape (n_points,), ndarray of shape (n_points,))
        For each set of rows, by what it is called: numbers of layers, states or members (int64), and the negative
        log-likelihood with so many (float64), nats per row.
    counted : str
        What is counted: "layers", "hidden states" or "members".
    kept : int
        How many the model has.

    Attributes
    ----------
    curves, counted, kept
        As given.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import DiscreteTreeFlow, LikelihoodCurveDisplay
    >>> coin = np.random.default_rng(0).integers(0, 2, 1000)
    >>> flow = DiscreteTreeFlow(n_layers=2).fit(np.column_stack([coin, coin]))
    >>> display = LikelihoodCurveDisplay.from_estimator(flow)
    >>> layers, nll = display.curves["training rows"]
    >>> layers.tolist(), nll.round(2).tolist()
    ([0, 1, 2], [1.38, 0.69, 0.69])
    """

    def __init__(self, curves, counted, kept):
        self.curves = curves
        self.counted = counted
        self.kept = kept

    @classmethod
    def from_estimator(cls, model, X=None, *, ax=None):
        """Draw the curves of a fitted model.

        Of a `DiscreteTreeFlow`: training rows, validation rows if there were any, and ``X``. Of a `TreeFlowMixture`:
        the rows that it held out to choose the number of states, and ``X`` with the number that was chosen. Of a
        `TreeFlowEnsemble`: ``X`` with its first 1, 2, ... members, by their weights.

        Parameters
        ----------
        model : DiscreteTreeFlow, TreeFlowMixture or TreeFlowEnsemble
        X : ndarray or DataFrame of shape (n_rows, n_columns), default=None
            Rows to draw a curve of, as "rows given": best those that the model has not seen. An ensemble needs them.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LikelihoodCurveDisplay

        Raises
        ------
        TypeError
            For a model that has no such curve, or an ensemble without ``X``.
        """
        fitted_domain(model)
        return cls(*model.likelihood_curves(X)).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : LikelihoodCurveDisplay
            The object itself.
        """
        (self.ax_,) = make_axes(ax, 1, (6, 4))
        self.figure_ = self.ax_.figure
        styles = {"training rows": "C0-", "validation rows": "C1--", "rows given": "C2o-"}
        for what, (numbers, nll) in self.curves.items():
            self.ax_.plot(numbers, nll, styles.get(what, "o-"), markersize=3.5, label=what)
        counts = np.unique(np.concatenate([numbers for numbers, _ in self.curves.values()]))
        if self.counted == "hidden states" and len(counts) > 1:
            # numbers that double stand evenly on a logarithmic scale, on which 0 has no place but below the least
            self.ax_.set_xscale("symlog", base=2, linthresh=max(counts[1], 1))
            self.ax_.set_xticks(counts, counts)
            self.ax_.set_xticks([], minor=True)
        else:
            self.ax_.xaxis.get_major_locator().set_params(integer=True)
        if self.kept < counts[-1]:
            self.ax_.axvline(self.kept, color="0.5", linestyle=":", label=f"kept: {self.kept}")
        self.ax_.set(xlabel=f"number of {self.counted}", ylabel="negative log-likelihood, nats per row")
        self.ax_.ticklabel_format(axis="y", useOffset=False)  # nats as they are, however little they vary
        self.ax_.grid(alpha=0.3)
        self.ax_.legend()
        return self


class AnomaliesDisplay:
    """Unlikely rows as a table, each cell coloured by how little the rest of its row lets expect it.

    Parameters
    ----------
    anomalies : object
        What ``anomalies`` of a model returns. Of n rows it has the attributes ``rows`` (int64, their numbers in the
        table), ``log_likelihood`` (float64, nats), ``surprise`` (float64, of shape (n, n_columns): the negative
        log-probability of each value given all others of its row, nats), ``values`` (str, of the same shape) and
        ``names`` of the columns.

    Attributes
    ----------
    anomalies : object
        As given.
    ax_ : matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> import numpy as np
    >>> from treeflows import AnomaliesDisplay
    >>> found = SimpleNamespace(
    ...     rows=np.array([17]),
    ...     log_likelihood=np.array([-9.5]),
    ...     surprise=np.array([[0.1, 7.2]]),
    ...     values=np.array([["lake", "camel"]], dtype=object),
    ...     names=("habitat", "animal"),
    ... )
    >>> [text.get_text() for text in AnomaliesDisplay(found).plot().ax_.texts]
    ['lake', 'camel']
    """

    def __init__(self, anomalies):
        self.anomalies = anomalies

    @classmethod
    def from_estimator(cls, model, X, *, n=10, max_columns=12, ax=None):
        """Draw the rows of lowest likelihood.

        Parameters
        ----------
        model : fitted model of this package
        X : ndarray or DataFrame of shape (n_rows, n_columns)
        n : int, default=10
            Rows to draw.
        max_columns : int, default=12
            Columns to draw at most: those of the most surprising values.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : AnomaliesDisplay
        """
        return cls(model.anomalies(X, n)).plot(max_columns=max_columns, ax=ax)

    def plot(self, *, max_columns=12, ax=None):
        """Draw the table.

        Parameters
        ----------
        max_columns : int, default=12
            Columns to draw at most: those of the most surprising values, in the order of the table.
        ax : matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : AnomaliesDisplay
            The object itself.
        """
        found = self.anomalies
        columns = np.sort(np.argsort(-found.surprise.max(axis=0), kind="stable")[:max_columns])
        surprise = found.surprise[:, columns]
        n_rows, n_columns = surprise.shape
        (self.ax_,) = make_axes(ax, 1, (1.1 * n_columns + 3, 0.3 * n_rows + 1.8))
        self.figure_ = self.ax_.figure
        top = max(surprise.max(), 1e-3)
        shown = self.ax_.imshow(surprise, cmap="Purples", vmin=0, vmax=top, aspect="auto")
        for (i, j), nats in np.ndenumerate(surprise):
            cell, color = shortened(found.values[i, columns[j]], 15), "white" if nats > 0.6 * top else "black"
            self.ax_.text(j, i, cell, ha="center", va="center", fontsize=8, color=color)
        told = [f"row {row}: {nats:.1f}" for row, nats in zip(found.rows, found.log_likelihood, strict=True)]
        self.ax_.set_yticks(range(n_rows), told, fontsize=8)
        self.ax_.set_ylabel("log-likelihood, nats")
        self.ax_.set_xticks(range(n_columns), [shortened(found.names[j]) for j in columns], rotation=45, fontsize=8)
        for name in self.ax_.get_xticklabels():
            name.set(ha="right", rotation_mode="anchor")
        left_out = len(found.names) - n_columns
        if left_out:
            self.ax_.set_xlabel(f"{left_out} columns of less surprise are left out", fontsize=8)
        self.figure_.colorbar(shown, ax=self.ax_, label="surprise given the rest of the row, nats")
        return self
