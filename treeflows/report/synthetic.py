"""How good a synthetic table is: its columns, its pairs of columns, whether it can be told from real rows, and its use.

The measures are those that papers on generators of tables report (TabSyn: Zhang et al., ICLR 2024; TabDiff: Shi et al.,
ICLR 2025; TabPC, 2026), as sdmetrics defines them.
"""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from sklearn.base import clone
from sklearn.metrics import r2_score, roc_auc_score, root_mean_squared_error
from sklearn.model_selection import StratifiedKFold
from sklearn.utils import check_array

from ..machine.errors import TableError
from ..tables.containers import Table, is_frame
from ..tables.policy import TablePolicy

N_BINS = 10  # of a number beside a category
N_FOLDS = 3  # of the test of two samples
MOST_ROWS = 5_000  # synthetic rows whose nearest real rows are looked for
CELLS = 4_000_000  # distances at a time
TOLD_COLUMNS = 5  # that betray the synthetic rows most
MOST_CATEGORIES = 250  # of a column, as boosted trees take them; rarer ones are one


@dataclass(frozen=True, eq=False)
class SyntheticQuality:
    """Measures of a synthetic table beside a real one, each from 0 to 1, 1 the best, unless said otherwise.

    Attributes
    ----------
    shape : dict of str to float
        Of each column: one less the distance of Kolmogorov and Smirnov of numbers, or the total variation distance of
        categories.
    trend : dict of (str, str) to float
        Of each pair of columns: of numbers, one less half of how much their correlations differ; else one less the
        total variation distance of their contingency tables, numbers cut into ten bins of equal width.
    c2st : float
        Test of two samples by a classifier: two less twice its area under the curve, which is at least a half.
    c2st_auc : float
        That area: 0.5 where the classifier cannot tell synthetic rows from real ones.
    telling : dict of str to float
        The columns that betray synthetic rows most, and by how much the area falls without what they say.
    utility : dict of str to float, or None
        Of models that learn from synthetic and from real rows, what they make of real rows that neither has seen:
        "auc" and "auc_real" of categories, or "r2", "r2_real", "rmse" and "rmse_real" of numbers. None without
        a target or a test table.
    dcr : float or None
        Share of synthetic rows whose nearest real row is one that the model has seen, rather than one of as many that
        it has not; 0.5 is the best. None without a test table.
    """

    shape: dict
    trend: dict
    c2st: float
    c2st_auc: float
    telling: dict
    utility: dict | None = None
    dcr: float | None = None

    def figures(self):
        """The measures for programs, columns and pairs averaged.

        Returns
        -------
        figures : dict
            Plain values.
        """
        trends = list(self.trend.values())
        return {
            "shape": float(np.mean(list(self.shape.values()))),
            "trend": float(np.mean(trends)) if trends else None,
            "c2st": self.c2st,
            "c2st_auc": self.c2st_auc,
            "telling": self.telling,
            "utility": self.utility,
            "dcr": self.dcr,
        }

    def to_text(self):
        """The measures to read.

        Returns
        -------
        text : str
        """
        told = self.figures()
        worst = min(self.shape, key=lambda name: self.shape[name])
        lines = [f"shape    {told['shape']:.4f}  (least, of {worst}: {self.shape[worst]:.4f})"]
        if self.trend:
            pair = min(self.trend, key=lambda pair: self.trend[pair])
            lines.append(f"trend    {told['trend']:.4f}  (least, of {pair[0]} and {pair[1]}: {self.trend[pair]:.4f})")
        lines.append(f"C2ST     {self.c2st:.4f}  (boosted trees tell synthetic rows by an AUC of {self.c2st_auc:.4f})")
        if self.utility is not None:
            pairs = [(name, value) for name, value in self.utility.items() if not name.endswith("_real")]
            real = self.utility
            lines += [
                f"{name:8} {value:.4f}  (learned from real rows: {real[f'{name}_real']:.4f})" for name, value in pairs
            ]
        if self.dcr is not None:
            lines.append(
                f"DCR      {self.dcr:.4f}  of the synthetic rows are nearer to a training row; 0.5 is the best"
            )
        betraying = [f"{name} {loss:.4f}" for name, loss in self.telling.items()]
        return "\n".join([*lines, f"what betrays synthetic rows, by AUC: {', '.join(betraying) or 'nothing'}"])

    def __str__(self):
        return self.to_text()


def evaluate_synthetic(real, synthetic, test=None, target=None, *, numeric="auto", classifier=None, random_state=0):
    """Measure how good a synthetic table is.

    Parameters
    ----------
    real : array or dataframe of shape (n_rows, n_columns)
        The rows that the generator has learned from.
    synthetic : array or dataframe of shape (n_synthetic, n_columns)
    test : array or dataframe of shape (n_test, n_columns), default=None
        Real rows that it has not seen; utility and distances need them.
    target : str or int, default=None
        Column to predict, for utility.
    numeric : "auto", sequence of str or int, or mask, default="auto"
        Which columns are numbers, as `TreeFlowMixture` takes it.
    classifier : estimator, default=None
        What tells synthetic rows from real ones, by ``predict_proba`` of an array of numbers and codes. None is
        scikit-learn's ``HistGradientBoostingClassifier``, which takes the codes for categories; papers take
        ``xgboost.XGBClassifier()``.
    random_state : int, default=0
        Deals the rows to folds, and draws those whose distances are measured.

    Returns
    -------
    quality : SyntheticQuality
        Print it to read it.

    Raises
    ------
    ValueError
        If the tables have not the same columns, or the target is not there or no category of it is common to both.

    Notes
    -----
    *Shape* and *trend* are KSComplement and TVComplement, CorrelationSimilarity and ContingencySimilarity of sdmetrics
    (its column shapes and column pair trends), missing cells being a category, or left out of a correlation. *C2ST* is
    its detection score with boosted trees in place of logistic regression: the mean over three stratified folds of
    ``1 - (2 max(AUC, 1/2) - 1)``, of as many rows of either kind as the shorter table has. *Utility* is machine
    learning efficacy with a model of default parameters, by the area under the curve (of several classes the mean over
    one class against the others). *Distance to the closest record*, as in TabSyn: L1, numbers divided by their range,
    categories one-hot; among as many training as test rows, a tie counting half. All of these rows can have been
    trained on only if the tables are halves of one; where training rows are drawn from more, copies are met less often.

    Examples
    --------
    >>> import numpy as np
    >>> from treeflows import evaluate_synthetic
    >>> rng = np.random.default_rng(0)
    >>> def rows(n):
    ...     x = rng.normal(size=n)
    ...     return np.column_stack([x, x + rng.normal(size=n)])
    >>> good = evaluate_synthetic(rows(500), rows(500))
    >>> bad = evaluate_synthetic(rows(500), rng.normal(size=(500, 2)) * [1, 1.4])
    >>> bool(good.figures()["trend"] > 0.95 > bad.figures()["trend"] and good.c2st > bad.c2st)
    True
    """
    tables = {"real": real, "synthetic": synthetic} | ({} if test is None else {"test": test})
    domain, read = _read(tables, numeric)
    names, rng = domain.column_names, np.random.default_rng(random_state)
    shape = {name: 1 - _distance(_both(read, j), domain.numeric[j]) for j, name in enumerate(names)}
    trend = {}
    for i, j in combinations(range(len(names)), 2):
        similarity = _trend(_both(read, i), _both(read, j), domain.numeric[[i, j]])
        if similarity is not None:
            trend[names[i], names[j]] = similarity
    c2st, auc, telling = _two_samples(read, domain.numeric, classifier, rng)
    order = [j for j in np.argsort(-telling, kind="stable") if telling[j] > 0][:TOLD_COLUMNS]
    utility, dcr = None, None
    if test is not None:
        dcr = _closer_to_training(read, domain.numeric, rng)
        if target is not None:
            utility = _utility(read, domain.numeric, domain.index(target), random_state)
    betraying = {names[j]: float(telling[j]) for j in order}
    return SyntheticQuality(shape, trend, c2st, auc, betraying, utility, dcr)


def _read(tables, numeric):
    """The domain of the first table, and numbers and codes of all: list of ndarray of float64, NaN where missing."""
    first, *others = tables.values()
    if is_frame(first):
        import narwhals.stable.v2 as nw

        columns = list(Table(first).names or ())
        for what, X in tables.items():
            lacking = [name for name in columns if name not in (Table(X).names or ())] if is_frame(X) else columns
            if lacking:
                raise TableError(f"the {what} table has no column {lacking[0]!r}, which the real one has")
        read = [Table(nw.from_native(X, eager_only=True).select(columns).to_native()) for X in (first, *others)]
    else:
        read = [Table(check_array(X, dtype=None, ensure_all_finite=False)) for X in (first, *others)]
    if len({len(table.dtypes) for table in read}) > 1:
        raise TableError(f"tables have different numbers of columns: {[len(table.dtypes) for table in read]}")
    policy = TablePolicy(numeric=numeric, handle_unknown="reserve", max_categories=MOST_CATEGORIES)
    policy.check()
    domain = policy.learn_domain(read[0])
    found = []
    for table in read:
        rows = policy.encode(domain, table, infer=True)
        values = rows.codes.astype(np.float64)
        if rows.observed is not None:  # missing, where the real table has nothing missing
            values = np.where(rows.observed | domain.numeric, values, domain.n_categories)
        found.append(values)
    return domain, found


def _both(read, j):
    """A column of the real and of the synthetic table."""
    real, synthetic = read[:2]
    return real[:, j], synthetic[:, j]


def _distance(both, numeric):
    """Of two columns: of numbers the distance of Kolmogorov and Smirnov, of codes the total variation distance."""
    real, synthetic = both
    if not numeric:
        return _total_variation(real.astype(np.int64), synthetic.astype(np.int64))
    real, synthetic = (np.sort(x[~np.isnan(x)]) for x in (real, synthetic))
    if not len(synthetic):
        return 1.0
    values = np.concatenate([real, synthetic])
    below = (np.searchsorted(x, values, side="right") / len(x) for x in (real, synthetic))
    return float(np.abs(np.subtract(*below)).max())


def _total_variation(a, b):
    length = int(max(a.max(), b.max())) + 1
    return float(
        np.abs(np.bincount(a, minlength=length) / len(a) - np.bincount(b, minlength=length) / len(b)).sum() / 2
    )


def _trend(first, second, numeric):
    """How alike two columns depend on each other in the real and in the synthetic table; None if nothing tells."""
    if numeric.all():
        of_each = [_correlation(*pair) for pair in zip(first, second, strict=True)]
        return None if None in of_each else 1 - abs(of_each[0] - of_each[1]) / 2
    first, second = (_binned(*column) if n else column for column, n in zip((first, second), numeric, strict=True))
    n_codes = 1 + max(column.max() for column in second)
    cells = [(a * n_codes + b).astype(np.int64) for a, b in zip(first, second, strict=True)]
    return 1 - _total_variation(*cells)


def _correlation(x, y):
    there = ~np.isnan(x) & ~np.isnan(y)
    x, y = x[there], y[there]
    if len(x) < 2 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return None
    return float(np.corrcoef(x, y)[0, 1])


def _binned(real, synthetic):
    """Numbers as bins of equal width over the range of the real ones, the outer ones open; missing is the last."""
    edges = np.histogram_bin_edges(real[~np.isnan(real)], N_BINS)[1:-1]
    return [np.where(np.isnan(x), N_BINS, np.searchsorted(edges, x, side="right")) for x in (real, synthetic)]


def _two_samples(read, numeric, classifier, rng):
    """The test of two samples: score, area under the curve, and how much of it each column makes."""
    real, synthetic = read[:2]
    n = min(len(real), len(synthetic))
    if n < 2 * N_FOLDS:
        raise TableError(f"at least {2 * N_FOLDS} rows of either kind are needed, to tell them apart; got {n}")
    seed = int(rng.integers(2**31))
    if classifier is None:
        from sklearn.ensemble import HistGradientBoostingClassifier  # late: it takes a while

        classifier = HistGradientBoostingClassifier(categorical_features=~numeric, random_state=seed)
    rows = np.concatenate([x[np.sort(rng.choice(len(x), n, replace=False))] for x in (real, synthetic)])
    is_real = np.repeat([1, 0], n)
    areas, loss = [], np.zeros(len(numeric))
    for seen, unseen in StratifiedKFold(N_FOLDS, shuffle=True, random_state=seed).split(rows, is_real):
        fitted = clone(classifier).fit(rows[seen], is_real[seen])
        areas.append(_area(fitted, rows[unseen], is_real[unseen]))
        for j in range(len(numeric)):
            shuffled = rows[unseen]
            shuffled[:, j] = rng.permutation(shuffled[:, j])
            loss[j] += (areas[-1] - _area(fitted, shuffled, is_real[unseen])) / N_FOLDS
    score = np.mean([2 - 2 * max(area, 0.5) for area in areas])
    return float(score), float(np.mean(areas)), loss


def _area(fitted, rows, is_real):
    return roc_auc_score(is_real, fitted.predict_proba(rows)[:, 1])


def _utility(read, numeric, j, seed):
    """What models that learn from synthetic and from real rows make of others: dict of str to float."""
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    real, synthetic, test = (rows[~np.isnan(rows[:, j])] for rows in read)
    others, found = np.delete(np.arange(len(numeric)), j), {}
    options = {"categorical_features": ~numeric[others], "random_state": seed}
    for ending, rows in (("", synthetic), ("_real", real)):
        if numeric[j]:
            told = HistGradientBoostingRegressor(**options).fit(rows[:, others], rows[:, j]).predict(test[:, others])
            found[f"r2{ending}"] = float(r2_score(test[:, j], told))
            found[f"rmse{ending}"] = float(root_mean_squared_error(test[:, j], told))
            continue
        classes = np.unique(rows[:, j])
        areas = []
        if len(classes) > 1:
            fitted = HistGradientBoostingClassifier(**options).fit(rows[:, others], rows[:, j])
            told = dict(zip(fitted.classes_, fitted.predict_proba(test[:, others]).T, strict=True))
        for value in np.unique(test[:, j]):
            is_so = test[:, j] == value
            if not is_so.all():
                areas.append(roc_auc_score(is_so, told.get(value, np.zeros(len(test)))) if len(classes) > 1 else 0.5)
        if not areas:
            raise TableError("the target takes one value in the test table: there is nothing to tell")
        found[f"auc{ending}"] = float(np.mean(areas))
    return found


def _closer_to_training(read, numeric, rng):
    """Share of synthetic rows that are nearer to training rows than to as many others; ties count half."""
    real, synthetic, test = read
    n = min(len(real), len(test))
    low, high = np.nanmin(real, axis=0), np.nanmax(real, axis=0)
    scale = np.where(high > low, high - low, 1.0)

    def chosen(rows, n):
        rows = rows[np.sort(rng.choice(len(rows), n, replace=False))] if n < len(rows) else rows
        return np.where(numeric, np.nan_to_num((rows - low) / scale, nan=-1.0), rows)

    known, new, drawn = chosen(real, n), chosen(test, n), chosen(synthetic, MOST_ROWS)
    to_known, to_new = _nearest(known, drawn, numeric), _nearest(new, drawn, numeric)
    return float(np.mean(np.where(to_known == to_new, 0.5, to_known < to_new)))


def _nearest(seen, rows, numeric):
    """Distance of each row to the nearest of those seen: L1 of numbers, and 2 for each category that differs."""
    nearest = np.empty(len(rows))
    step = max(1, CELLS // len(seen))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        distance = np.zeros((len(block), len(seen)))
        for j, is_number in enumerate(numeric):
            apart = block[:, None, j] - seen[None, :, j]
            distance += np.abs(apart) if is_number else 2.0 * (apart != 0)
        nearest[start : start + step] = distance.min(axis=1)
    return nearest
