"""A classifier by the joint distribution of a table and its labels."""

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.utils import assert_all_finite
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_consistent_length, check_is_fitted

from ..inference.marginals import log_joint
from ..machine.errors import TableError
from ..machine.log_sums import softmax
from ..machine.threads import n_threads
from ..tables.columns import MAX_CATEGORIES, Column
from ..tables.containers import is_missing
from ..tables.matching import read_matched
from ..tables.policy import TablePolicy
from .base import check_model, read_to_learn
from .questions import warn_of_estimates
from .targets import TargetModel, domain_with_target, with_target


class TreeFlowClassifier(ClassifierMixin, TargetModel):
    """Generative classifier: p(y | x) from a density of the table with its labels as one more column.

    The label is the last column in the order of the default density, so that p(y | x) is told by trees on all other
    columns, averaged over their prunings, beside a forest and a hidden column. The same density scores rows, fills
    missing cells and draws labelled rows: see ``density_``.

    Parameters
    ----------
    estimator : estimator, default=None
        Density to fit; None is ``TreeFlowMixture(AutoregressiveTreeFlow(order="natural", min_samples_leaf=1))``. Any
        model of this package, or an estimator with ``fit``, ``score_samples`` and ``sample`` on arrays of codes.
    categories : "auto" or list of array-like, default="auto"
        The values that each column of X can take. "auto": what a categorical dtype declares, else what fit sees.
    missing : "category", "marginalize" or "error", default="category"
        "category": a missing cell is a value of its own where fit saw one. "marginalize": it is unknown, and summed
        out. "error": it is refused.
    handle_unknown : "error" or "reserve", default="reserve"
        "reserve": each column has room for one more value, which all unseen ones count as.
    min_frequency : int or float, default=None
        Values that occur less often (an int: in fewer rows; a float: in a smaller fraction of the rows) are grouped.
    max_categories : int, default=None
        The rarest values of a column are grouped so that its values have at most so many codes, that of the group
        included.
    random_state : int, RandomState or None, default=None
        Draws what the estimator draws.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns of X are numbers, as `TreeFlowMixture` takes it.
    n_jobs : int or None, default=None
        Threads. None is 1 unless a joblib context says otherwise, -1 every core. Results do not depend on it.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels.
    density_ : estimator
        The fitted density of rows with their labels in the last column.
    categories_ : list of ndarray
        Categories of each column of X.
    n_features_in_ : int
        Number of columns of X.
    feature_names_in_ : ndarray of str
        Column names, where the table has them.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import TreeFlowClassifier
    >>> X = np.random.default_rng(0).choice(["a", "b"], (1000, 3))
    >>> y = np.where(X[:, 0] == X[:, 1], "same", "other")
    >>> model = TreeFlowClassifier(random_state=0).fit(X, y)
    >>> model.predict([["a", "a", "b"], ["a", "b", "b"]]).tolist()
    ['same', 'other']
    """

    least_leaf = 1
    of_numbers = False

    def __init__(
        self,
        estimator=None,
        *,
        categories="auto",
        missing="category",
        handle_unknown="reserve",
        min_frequency=None,
        max_categories=None,
        random_state=None,
        numeric="auto",
        n_jobs=None,
    ):
        self.estimator = estimator
        self.categories = categories
        self.missing = missing
        self.handle_unknown = handle_unknown
        self.min_frequency = min_frequency
        self.max_categories = max_categories
        self.random_state = random_state
        self.numeric = numeric
        self.n_jobs = n_jobs

    def fit(self, X, y, sample_weight=None):
        """Learn the density of the table and its labels.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)
            As the densities take it.
        y : array-like of shape (n_rows,)
            Labels, at most 256 different ones.
        sample_weight : array-like of shape (n_rows,), default=None
            How many rows each row stands for.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For labels that are no classes, or a table that is refused; the message names the column.
        """
        check_model(self)
        y, name = self.target(y)
        if y.dtype.kind == "O" and any(map(is_missing, y)):
            raise ValueError(f"y has a missing label at row {list(map(is_missing, y)).index(True)}")
        if y.dtype.kind == "O" and len({isinstance(label, str) for label in y}) > 1:
            row = [isinstance(label, str) for label in y].index(not isinstance(y[0], str))
            raise TableError(
                f"y mixes strings and other labels: {y[0]!r} at row 0 and {y[row]!r} at row {row}; make "
                "them of one type",
                row=row,
                value=y[row],
            )
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        check_consistent_length(X, y)
        domain, rows, weight = read_to_learn(self, X, sample_weight)
        if weight is not None:
            y = y[np.asarray(sample_weight) > 0]
        classes, labels = np.unique(y, return_inverse=True)
        if len(classes) > MAX_CATEGORIES:
            raise ValueError(f"y has {len(classes):,} classes; at most {MAX_CATEGORIES} are supported")
        joint = domain_with_target(domain, Column(classes), classes, "class" if name is None else str(name))
        return self.learn_joint(joint, rows, labels, weight)

    @property
    def classes_(self):
        """The labels: ndarray of shape (n_classes,)."""
        return self.domain_.columns[-1].values

    def predict_proba(self, X):
        """Probability of each class given the row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        probability : ndarray of shape (n_rows, n_classes), float64
            In the order of ``classes_``. NaN where so much is missing that no estimate can be trusted.
        """
        check_is_fitted(self)
        last, threads = len(self.domain_.columns) - 1, n_threads(self.n_jobs)
        domain = self.domain_.without(last)
        table = read_matched(self, X, domain, lacking=True)
        rows = TablePolicy.of(self).encode(domain, table, threads, infer=True)
        codes, observed = with_target(domain.bounded(rows.codes), 0), with_target(rows.observed, True)
        joint, error = log_joint(self.distribution_, codes, observed, last, len(self.classes_), threads)
        warn_of_estimates(error)
        return softmax(joint, axis=1)

    def predict(self, X):
        """Most probable class of each row.

        Parameters
        ----------
        X : array or dataframe of shape (n_rows, n_columns)

        Returns
        -------
        y : ndarray of shape (n_rows,)
        """
        probability = self.predict_proba(X)
        if np.isnan(probability).any():
            row = int(np.flatnonzero(np.isnan(probability).any(axis=1))[0])
            raise ValueError(f"row {row} has so many missing cells that its class cannot be told")
        return self.classes_[probability.argmax(axis=1)]
