"""A picture of groups of rows: what is in each, and what tells how many there are."""

import numpy as np

from .axes import DATA, fitted_domain, make_axes, shortened

MOST_LINES = 24  # values that are drawn
MARKERS = "osD^vP*X"  # of groups, told apart without colours, too
SPREAD = 0.5  # of a line, that the groups take
CRITERIA = ("aic", "AIC"), ("bic", "BIC"), ("held_out", "-2 held-out log-likelihood")


class GroupsDisplay:
    """Profiles of groups, and the criteria by number of groups.

    On the left is the probability of each value in each group, with its interval where groups were learned with
    ``n_bootstrap``; the bar is that in all rows. Of columns of two values the second is drawn. The columns in which
    groups differ most come first, and if there are many, only these. On the right are information criteria and minus
    twice the held-out log-likelihood, all of which are the better, the less they are.

    Parameters
    ----------
    groups : Groups

    Attributes
    ----------
    groups : Groups
        As given.
    values_ : list of (str, int)
        The values that are drawn, from the top: column, and number of the value.
    axes_ : ndarray of shape (2,), matplotlib Axes
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import AutoregressiveTreeFlow, GroupsDisplay
    >>> rng = np.random.default_rng(0)
    >>> X = (rng.random((500, 5)) < np.where(rng.random(500) < 0.3, 0.9, 0.1)[:, None]).astype(int)
    >>> display = GroupsDisplay.from_estimator(AutoregressiveTreeFlow(random_state=0).fit(X), X)
    >>> len(display.values_)
    5
    """

    def __init__(self, groups):
        self.groups = groups

    @classmethod
    def from_estimator(cls, model, X, n_groups=None, *, n_bootstrap=0, random_state=None, ax=None):
        """Find groups of rows, and draw them.

        Parameters
        ----------
        model : fitted model of this package
        X : array or dataframe of shape (n_rows, n_columns)
        n_groups : int or sequence of int, default=None
            As ``find_groups`` takes it.
        n_bootstrap : int, default=0
            As ``find_groups`` takes it.
        random_state : int, RandomState or None, default=None
            Draws the rows that EM starts from; None continues with the estimator's own.
        ax : sequence of two matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : GroupsDisplay
        """
        fitted_domain(model)
        return cls(model.find_groups(X, n_groups, n_bootstrap=n_bootstrap, random_state=random_state)).plot(ax=ax)

    def plot(self, *, ax=None):
        """Draw the groups.

        Parameters
        ----------
        ax : sequence of two matplotlib Axes, default=None
            Where to draw; None makes a figure.

        Returns
        -------
        display : GroupsDisplay
            The object itself.
        """
        groups = self.groups
        self.values_ = _values(groups)
        self.axes_ = make_axes(ax, 2, (11, 1.4 + 0.3 * max(len(self.values_), 8)))
        self.figure_ = self.axes_[0].figure
        self._plot_profiles(self.axes_[0])
        right, n = self.axes_[1], [each.n_groups for each in groups.criteria]
        for (name, label), marker in zip(CRITERIA, MARKERS, strict=False):
            told = np.array([getattr(each, name) for each in groups.criteria])
            right.plot(n, -2 * told if name == "held_out" else told, marker=marker, label=label)
        right.axvline(len(groups.weight), color=DATA, linestyle=":")
        right.set(xticks=n, xlabel="number of groups", ylabel="the less the better")
        right.legend(fontsize=9)
        return self

    def _plot_profiles(self, ax):
        groups, n = self.groups, len(self.groups.weight)
        names = [f"{shortened(name)} = {shortened(groups.labels[name][value])}" for name, value in self.values_]
        y = np.arange(len(names))
        ax.barh(y, [groups.overall[name][value] for name, value in self.values_], color=DATA, alpha=0.25, height=0.8)
        for i, weight in enumerate(groups.weight):
            at = y + SPREAD * ((i + 0.5) / n - 0.5)
            told = np.array([groups.profiles[name][i, value] for name, value in self.values_])
            style = {"fmt": MARKERS[i % len(MARKERS)], "markersize": 5, "label": f"group {i}, {weight:.0%}"}
            ends = None
            if len(groups.resampled_weight):
                low, high = np.array([groups.profile_interval(name)[:, i, value] for name, value in self.values_]).T
                ends = np.maximum([told - low, high - told], 0)
            ax.errorbar(told, at, xerr=ends, **style)
        ax.set(yticks=y, yticklabels=names, xlim=(-0.02, 1.02), ylim=(len(y) - 0.5, -0.5), xlabel="probability")
        for line in y[1:]:
            if self.values_[line][0] != self.values_[line - 1][0]:
                ax.axhline(line - 0.5, color="0.85", linewidth=0.8, zorder=0)
        ax.legend(fontsize=9, ncols=min(n, 4), loc="lower center", bbox_to_anchor=(0.5, 1.0), frameon=False)


def _values(groups):
    """Values to draw, those of the columns first in which groups differ most: list of (str, int)."""
    apart = {
        name: float((groups.weight[:, None] * np.abs(profile - groups.overall[name])).sum())
        for name, profile in groups.profiles.items()
    }
    values = []
    for name in sorted(apart, key=lambda name: -apart[name]):
        k = len(groups.labels[name])
        values += [(name, v) for v in range(k == 2, k)]
    return values[:MOST_LINES]
