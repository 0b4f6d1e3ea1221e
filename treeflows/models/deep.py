"""Destructors on destructors: each layer is learned on what those before it leave over."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ..machine.errors import ParameterError, check_number
from .destructors import Destructor

METHODS = "fit", "transform", "inverse_transform", "score_samples"


class DeepDestructor(Destructor):
    """Deep density destructor: layers of one's own choice, each learned on what those before it leave over.

    A destructor is an invertible map that makes independent uniform numbers of rows; the logarithm of its Jacobian
    determinant is the log-density of what it has been learned from. Where a layer does not match its rows, what it
    leaves over is not uniform, and the next layer learns that. Log-densities add up, and the whole is exact whatever
    the layers are.

    A layer is any estimator with ``fit(X)``, ``transform(X)`` to the unit cube, ``inverse_transform(U)`` and
    ``score_samples(X)``, the log-density whose destructor it is: `check_destructor` says whether these fit together.
    The first layer takes the table; all others take numbers in the unit cube, and have their whole density there
    (the paper calls them canonical). A layer with a parameter ``canonical`` is told so; a deep destructor is one, too.

    Parameters
    ----------
    layers : list of destructors
        The layers, not fitted, first applied first; they are cloned. ``[A()] + 10 * [B()]`` has B ten times.
    canonical : bool, default=False
        Whether the table lies in the unit cube, as what another layer leaves over. Handed to the first layer.
    early_stopping : bool, default=False
        Hold out a fraction of the rows, stop when their likelihood has not improved for ``n_iter_no_change`` layers,
        and keep the number of layers that was best on them.
    validation_fraction : float, default=0.1
        Fraction of rows to hold out.
    n_iter_no_change : int, default=3
        Layers without improvement after which to stop. Such as tell nothing by themselves, as rotations, count.
    random_state : int, RandomState or None, default=None
        Draws the held-out rows, the ``random_state`` of every layer that has none set, and samples.

    Attributes
    ----------
    layers_ : list of destructors
        The layers that were kept, fitted.
    n_layers_ : int
        How many these are.
    train_score_ : ndarray of shape (n_learned,), float64
        Mean log-density of the training rows, nats, after 1, 2, ... learned layers.
    validation_score_ : ndarray of shape (n_learned,), float64, or None
        The same of the held-out rows, with early stopping. Both include layers that were learned but not kept.
    n_features_in_ : int
        Number of columns.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    References
    ----------
    Inouye, Ravikumar, "Deep density destructors", ICML 2018.

    Examples
    --------
    Two half moons, by a mixture of two normal distributions and trees on what it leaves over:

    >>> from sklearn.datasets import make_moons
    >>> from treeflows import DeepDestructor, MixtureDestructor, TreeDestructor
    >>> X = make_moons(2000, noise=0.1, random_state=0)[0]
    >>> deep = DeepDestructor([MixtureDestructor(2), TreeDestructor()], random_state=0).fit(X[:1000])
    >>> after_one, after_two = [scores.mean() for scores in deep.staged_score_samples(X[1000:])]
    >>> bool(after_two > after_one + 0.3)
    True
    >>> bool(abs(deep.inverse_transform(deep.transform(X)) - X).max() < 1e-9)
    True
    """

    def __init__(
        self,
        layers,
        *,
        canonical=False,
        early_stopping=False,
        validation_fraction=0.1,
        n_iter_no_change=3,
        random_state=None,
    ):
        self.layers = layers
        self.canonical = canonical
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    @property
    def n_layers_(self):
        """How many layers were kept: int."""
        return len(self.layers_)

    def staged_score_samples(self, X):
        """Log-density of each row after 1, 2, ... layers.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)

        Yields
        ------
        log_density : ndarray of shape (n_rows,), float64
            Nats.
        """
        for _, score in self._stages(X):
            yield score

    def staged_transform(self, X):
        """What 1, 2, ... layers leave over of each row.

        Parameters
        ----------
        X : array-like of shape (n_rows, n_columns)

        Yields
        ------
        U : ndarray of shape (n_rows, n_columns), float64
            From 0 to 1.
        """
        for u, _ in self._stages(X):
            yield u

    def _stages(self, X):
        check_is_fitted(self)
        yield from self._through(self._read(X))

    def _check_parameters(self):
        if isinstance(self.layers, str) or not hasattr(self.layers, "__len__") or len(self.layers) == 0:
            raise ParameterError(
                f"layers must be a list of one or more destructors, got {self.layers!r}",
                parameter="layers",
                value=self.layers,
            )
        for i, layer in enumerate(self.layers):
            lacks = [name for name in METHODS if not callable(getattr(layer, name, None))]
            if lacks or isinstance(layer, type):
                told = f"has no {' and no '.join(lacks)}" if lacks else "is a class, not an instance of it"
                raise TypeError(f"layers[{i}] must be a destructor with {', '.join(METHODS)}; {layer!r} {told}")
        check_number(
            self.validation_fraction, "validation_fraction", Real, min_val=0, max_val=1, include_boundaries="neither"
        )
        check_number(self.n_iter_no_change, "n_iter_no_change", Integral, min_val=1)

    def _learn(self, x, rng):
        held_out = None
        if self.early_stopping:
            n = max(1, round(self.validation_fraction * len(x)))
            if len(x) - n < 2:
                told = f"early_stopping would hold out {n} row(s) of {len(x)} and leave too few to learn from"
                raise ParameterError(told, parameter="early_stopping", value=True)
            x = x[rng.permutation(len(x))]
            held_out, x = x[:n], x[n:]
        self.layers_, train, validation, score, score_held_out = [], [], [], 0.0, 0.0
        for i, unfitted in enumerate(self.layers):
            layer = clone(unfitted)
            parameters = layer.get_params(deep=False)
            if "canonical" in parameters:
                layer.set_params(canonical=self.canonical or i > 0)
            if parameters.get("random_state", 0) is None:
                layer.set_params(random_state=int(rng.integers(2**31)))
            self.layers_.append(layer.fit(x))
            x, said = self._apply(i, x)
            score += said.mean()
            train.append(score)
            if held_out is not None:
                held_out, said = self._apply(i, held_out)
                score_held_out += said.mean()
                validation.append(score_held_out)
                if i - int(np.argmax(validation)) >= self.n_iter_no_change:
                    break
        if held_out is not None:
            self.layers_ = self.layers_[: int(np.argmax(validation)) + 1]
        self.train_score_ = np.array(train)
        self.validation_score_ = None if held_out is None else np.array(validation)

    def _apply(self, i, x):
        """What a layer leaves over of rows, and its log-density of them."""
        layer = self.layers_[i]
        said = np.asarray(layer.score_samples(x), dtype=np.float64)
        if said.shape != (len(x),) or np.isnan(said).any() or (said == np.inf).any():
            raise ValueError(f"score_samples of layer {i}, {layer!r}, gave what is no log-density of {len(x)} row(s)")
        return self._rows(i, layer.transform(x), x.shape, to_cube=True), said

    def _rows(self, i, rows, shape, to_cube):
        rows = np.asarray(rows, dtype=np.float64)
        wrong = rows.shape != shape or not np.isfinite(rows).all() or (to_cube and ((rows < 0) | (rows > 1)).any())
        if wrong:
            where = "in the unit cube" if to_cube else "of finite numbers"
            raise ValueError(f"layer {i}, {self.layers_[i]!r}, gave what are no rows {where}: see check_destructor")
        return rows

    def _through(self, x):
        score = np.zeros(len(x))
        for i in range(self.n_layers_):
            x, said = self._apply(i, x)
            score = score + said
            yield x, score

    def _destroy(self, x):
        for u, score in self._through(x):  # noqa: B007 - the last
            pass
        return u, score

    def _restore(self, u):
        for i in reversed(range(self.n_layers_)):
            u = self._rows(i, self.layers_[i].inverse_transform(u), u.shape, to_cube=i > 0 or self.canonical)
        return u
