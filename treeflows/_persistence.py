"""Fitted models as files: arrays and JSON, versioned, never pickle."""

import numpy as np
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from ._autoregressive import AutoregressiveTreeFlow
from ._base import OtherDensity, check_table_parameters
from ._classifier import TreeFlowClassifier
from ._conditionals import Conditionals
from ._domain import Column, Domain, Grouping
from ._ensemble import TreeFlowEnsemble
from ._files import read_archive, write_archive
from ._flow import DiscreteTreeFlow
from ._independent import IndependentColumns
from ._layer import TreePermutation
from ._mixture import TreeFlowMixture
from ._products import ProductMixture
from ._tables import CONTAINERS, NUMPY

FORMAT = "treeflows"
VERSION = 1
PLAIN = (str, int, float, bool)  # what a category may be in a file
WIDEST = 2**16  # bytes of a string in an array
MODELS = {
    model.__name__: model
    for model in (DiscreteTreeFlow, AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture, TreeFlowClassifier)
}
LAYER_ARRAYS = {  # name: dtype
    "column": np.int32,
    "children": np.int32,
    "input_sets": np.uint8,
    "output_sets": np.uint8,
    "tables": np.uint8,
    "counts": np.int32,
    "leaf_rows": np.int64,
}
CONDITIONALS_ARRAYS = {
    "order": np.int32,
    "first_node": np.int64,
    "first_leaf": np.int64,
    "column": np.int32,
    "low": np.uint8,
    "high": np.uint8,
    "children": np.int32,
    "leaf_rows": np.int32,
    "log_prob": np.float64,
}


def save(model, path):
    """Write a fitted model to one file.

    The file is a NumPy .npz archive of arrays with one JSON member; nothing in it is code. It appears under its name
    only when it is complete.

    Parameters
    ----------
    model : DiscreteTreeFlow, AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture or TreeFlowClassifier
        A fitted model. Its ``categories`` parameter is not kept (the fitted domain is), nor a ``random_state`` that is
        no integer, nor the code of a ``criterion`` of your own.
    path : str or path-like

    Raises
    ------
    ValueError
        If a category is neither a number nor a string, or a base or member is no model of this package.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> import treeflows
    >>> X = [["red", "S"], ["blue", "L"], ["red", "S"]]
    >>> model = treeflows.AutoregressiveTreeFlow().fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     treeflows.save(model, f"{folder}/model.treeflow")
    ...     copy = treeflows.load(f"{folder}/model.treeflow")
    >>> copy.score(X) == model.score(X)
    True
    """
    check_is_fitted(model)
    domain = model._density._domain if isinstance(model, TreeFlowClassifier) else model._domain
    arrays = {}
    written = {
        "format": FORMAT,
        "version": VERSION,
        "names": None if domain.names is None else [_plain_name(name) for name in domain.names],
        "container": domain.container,
        "dtypes": domain.dtypes,
        "columns": [_describe_column(c, name) for c, name in zip(domain.columns, domain.column_names, strict=True)],
        "model": _describe(model, "", arrays),
    }
    write_archive(path, written, arrays)


def load(path):
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    model : DiscreteTreeFlow, AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture or TreeFlowClassifier

    Raises
    ------
    ValueError
        If the file is no model file, is damaged, or of a version that this package does not read.
    OSError
        If the file cannot be read.
    """
    written, arrays = read_archive(path)
    if not isinstance(written, dict) or written.get("format") != FORMAT:
        raise ValueError(f"{path} is not a treeflows model file")
    if written.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {written.get('version')} of the model format; this package reads version {VERSION}"
        )
    try:
        domain = _restore_domain(written)
        return _restore(written["model"], "", arrays, domain)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is a damaged treeflows model file ({error})") from error


# ---- writing: what is no array as JSON, arrays under names that start with the model's own ----


def _describe(model, prefix, arrays):
    """Parameters and plain attributes of a model; its arrays go to ``arrays``."""
    if type(model) not in MODELS.values():
        raise ValueError(f"{model!r} is no model of treeflows, which no file can hold; use pickle or joblib")
    written = {"class": type(model).__name__, "params": _plain_params(model)}
    if isinstance(model, TreeFlowClassifier):
        written["default"] = model.estimator is None
        written["density"] = _describe(model.density_, f"{prefix}density_", arrays)
    elif isinstance(model, TreeFlowEnsemble):
        arrays[f"{prefix}member_weight"] = _stored(model.weights_, np.float64)
        written["default"] = model.estimator is None
        written["members"] = [
            _describe(member, f"{prefix}member{i}_", arrays) for i, member in enumerate(model.estimators_)
        ]
    elif isinstance(model, TreeFlowMixture):
        written["estimator"] = None if model.estimator is None else _plain_params(model.estimator)
        written["flows"] = [_describe(flow, f"{prefix}flow{i}_", arrays) for i, flow in enumerate(model.flows_)]
        written["validation_score"] = [[n, score] for n, score in model.validation_score_.items()]
        arrays[f"{prefix}weight"] = _stored(model._products.weight, np.float64)
        arrays[f"{prefix}prob"] = _stored(model._products.prob, np.float64)
        arrays[f"{prefix}share"] = _stored(model.share_, np.float64)
    elif isinstance(model, AutoregressiveTreeFlow):
        for name, dtype in CONDITIONALS_ARRAYS.items():
            arrays[f"{prefix}{name}"] = _stored(getattr(model._conditionals, name), dtype)
        arrays[f"{prefix}evidence"] = _stored(model.evidence_, np.float64)
        arrays[f"{prefix}concentration"] = _stored(model.concentration_, np.float64)
    else:
        bases = model._staged_bases
        written["n_layers"] = len(model.layers_)
        written["bases"] = None
        if isinstance(bases[0], IndependentColumns):
            arrays[f"{prefix}log_prob"] = _stored([base.log_prob for base in bases], np.float64)
            arrays[f"{prefix}concentration"] = _stored([base.concentration for base in bases], np.float64)
        else:
            written["bases"] = [
                _describe(base.estimator if isinstance(base, OtherDensity) else base, f"{prefix}base{t}_", arrays)
                for t, base in enumerate(bases)
            ]
        arrays[f"{prefix}train_score"] = _stored(model.train_score_, np.float64)
        if model.validation_score_ is not None:
            arrays[f"{prefix}validation_score"] = _stored(model.validation_score_, np.float64)
        for t, layer in enumerate(model.layers_):
            for name, dtype in LAYER_ARRAYS.items():
                arrays[f"{prefix}layer{t}_{name}"] = _stored(getattr(layer, name), dtype)
    return written


def _plain_params(model):
    """Parameters as JSON holds them; what it cannot hold is replaced by the default."""
    defaults = type(model)().get_params(deep=False)
    plain = {}
    for key, value in model.get_params(deep=False).items():
        if isinstance(value, np.generic):
            value = value.item()
        elif key == "order" and not isinstance(value, str):
            value = np.asarray(value).tolist()
        kept = key != "categories" and isinstance(value, (str, int, float, list, type(None)))
        plain[key] = value if kept else defaults[key]
    return plain


def _stored(array, dtype):
    return np.asarray(array).astype(np.dtype(dtype).newbyteorder("<"))


# ---- reading ----


def _restore_domain(written):
    domain = Domain(
        tuple(map(_restore_column, written["columns"])),
        None if written["names"] is None else tuple(written["names"]),
        tuple(written["dtypes"]),
        written["container"],
    )
    n_columns = len(domain.columns)
    if len(domain.dtypes) != n_columns or len(domain.column_names) != n_columns or n_columns == 0:
        raise ValueError("columns and categories do not match")
    if not all(isinstance(dtype, str) for dtype in domain.dtypes):
        raise ValueError("a dtype is no name")
    if domain.names is not None and not all(isinstance(name, (str, int)) for name in domain.names):
        raise ValueError("a column name is neither a string nor an integer")
    if len(set(domain.column_names)) != n_columns:
        raise ValueError("a column name occurs more than once")
    if domain.container == NUMPY:
        _check_width(domain.dtypes[0])
    if domain.container not in CONTAINERS or (domain.container == NUMPY) != (domain.names is None):
        raise ValueError(f"unknown container {domain.container!r}")
    try:
        domain.decode(np.zeros((1, n_columns), dtype=np.uint8))
    except ImportError:  # a model can be asked all but for tables of a library that is not there
        pass
    except Exception as error:  # each library has its own for a dtype that cannot hold its categories
        raise ValueError(f"its tables cannot be made ({error})") from error
    return domain


def _restore_column(written):
    code, log_share = written["code"], written["log_share"]
    if (code is None) != (log_share is None):
        raise ValueError("a column has codes of groups, but no shares, or shares and no codes")
    column = Column(
        _categories(written["values"], written["dtype"]),
        None if code is None else Grouping(np.array(code, dtype=np.int16), np.array(log_share, dtype=np.float64)),
        bool(written["missing"]),
        bool(written["unseen"]),
    )
    column.check()
    return column


def _restore(written, prefix, arrays, domain):
    if written["class"] not in MODELS:
        raise ValueError(f"unknown model {written['class']!r}")
    model = MODELS[written["class"]](**written["params"])
    model._check_parameters()
    check_table_parameters(model)
    if isinstance(model, TreeFlowClassifier):
        density = _restore(written["density"], f"{prefix}density_", arrays, domain)
        if not written["default"]:
            model.estimator = clone(density).set_params(random_state=None)
        return model._fitted_to(density)
    if isinstance(model, TreeFlowEnsemble):
        members = [_restore(w, f"{prefix}member{i}_", arrays, domain) for i, w in enumerate(written["members"])]
        ensemble = TreeFlowEnsemble.from_members(members).set_params(**model.get_params(deep=False))
        ensemble.weights_ = _array(arrays, f"{prefix}member_weight", np.float64, (len(members),))
        if not (ensemble.weights_ > 0).all() or abs(ensemble.weights_.sum() - 1) > 1e-9:
            raise ValueError("the weights of the members do not sum to one")
        if not written["default"]:
            ensemble.estimator = clone(members[0]).set_params(random_state=None)
        return ensemble
    model._fitted_to(domain)
    if isinstance(model, TreeFlowMixture):
        return _restore_mixture(model, written, prefix, arrays, domain)
    if isinstance(model, AutoregressiveTreeFlow):
        model._conditionals = _conditionals(arrays, prefix, domain)
        model.order_ = model._conditionals.order
        n_columns = (model.n_features_in_,)
        model.evidence_ = _array(arrays, f"{prefix}evidence", np.float64, n_columns)
        model.concentration_ = _array(arrays, f"{prefix}concentration", np.float64, n_columns)
        model.log_evidence_ = float(model.evidence_.sum())
        return model
    n_layers = written["n_layers"]
    model.layers_ = [
        _layer(arrays, f"{prefix}layer{t}_", domain, (domain.of_codes if t else domain).labels) for t in range(n_layers)
    ]
    if written["bases"] is None:
        model._staged_bases = _independent_bases(arrays, prefix, n_layers + 1, domain)
    else:
        model._staged_bases = [
            _restore(w, f"{prefix}base{t}_", arrays, domain.of_codes) for t, w in enumerate(written["bases"])
        ]
        if len(model._staged_bases) != n_layers + 1:
            raise ValueError("the base of a stage is missing")
        if isinstance(model.base, str) and model.base == "independent":
            model.base = clone(model._staged_bases[-1]).set_params(random_state=None)
    model.base_ = model._staged_bases[-1]
    model.train_score_ = _array(arrays, f"{prefix}train_score", np.float64, (None,))
    scored = f"{prefix}validation_score" in arrays
    model.validation_score_ = _array(arrays, f"{prefix}validation_score", np.float64, (None,)) if scored else None
    return model


def _restore_mixture(model, written, prefix, arrays, domain):
    model.flows_ = [_restore(w, f"{prefix}flow{i}_", arrays, domain) for i, w in enumerate(written["flows"])]
    if not model.flows_ or any(type(flow) is not AutoregressiveTreeFlow for flow in model.flows_):
        raise ValueError("a part of the mixture is no tree flow")
    if len(model.flows_) != model.n_trees:
        raise ValueError("a tree flow of the mixture is missing")
    if any(not np.array_equal(flow.order_, model.flows_[0].order_) for flow in model.flows_):
        raise ValueError("the tree flows of the mixture have different orders")
    if written["estimator"] is not None:
        model.estimator = AutoregressiveTreeFlow(**written["estimator"])
    first = domain.first_category
    weight = _array(arrays, f"{prefix}weight", np.float64, (None,))
    prob = _array(arrays, f"{prefix}prob", np.float64, (int(first[-1]), len(weight)))
    model.share_ = _array(arrays, f"{prefix}share", np.float64, (model.n_features_in_, 3))
    sums = [weight.sum(keepdims=True), np.add.reduceat(prob, first[:-1], axis=0), model.share_.sum(axis=1)]
    if not all(np.allclose(s, 1, rtol=0, atol=1e-9) for s in sums) or min(p.min() for p in (weight, model.share_)) < 0:
        raise ValueError("probabilities do not sum to one")
    if len(model.flows_) == 1 and model.share_[:, 1].any():
        raise ValueError("trees that are not there have a share")
    if not (prob > 0).all():
        raise ValueError("a state of the hidden column has a probability that is not above 0")
    model._products = ProductMixture(first, weight, prob)
    model.weights_ = model._products.weight
    model.validation_score_ = {int(n): float(score) for n, score in written["validation_score"]}
    return model


def _independent_bases(arrays, prefix, n_bases, domain):
    n_columns, n = len(domain.columns), int(domain.first_category[-1])
    log_prob = _array(arrays, f"{prefix}log_prob", np.float64, (n_bases, n))
    concentration = _array(arrays, f"{prefix}concentration", np.float64, (n_bases, n_columns))
    if not np.allclose(np.add.reduceat(np.exp(log_prob), domain.first_category[:-1], axis=1), 1, rtol=0, atol=1e-9):
        raise ValueError("probabilities do not sum to one")
    return [IndependentColumns(domain.first_category, p, a) for p, a in zip(log_prob, concentration, strict=True)]


def _conditionals(arrays, prefix, domain):
    n_inner, n_columns = len(arrays[f"{prefix}column"]), len(domain.columns)
    shapes = {
        "order": (n_columns,),
        "first_node": (n_columns + 1,),
        "first_leaf": (n_columns + 1,),
        "column": (n_inner,),
        "low": (n_inner,),
        "high": (n_inner,),
        "children": (n_inner, 2),
        "leaf_rows": (n_inner + n_columns,),
        "log_prob": (None,),
    }
    if f"{prefix}category" in arrays:  # a file from when a node could ask for one category alone
        arrays[f"{prefix}low"] = arrays[f"{prefix}high"] = arrays.pop(f"{prefix}category")
    conditionals = Conditionals(
        n_categories=domain.n_categories,
        **{name: _array(arrays, prefix + name, dtype, shapes[name]) for name, dtype in CONDITIONALS_ARRAYS.items()},
    )
    conditionals.check()
    return conditionals


def _layer(arrays, prefix, domain, labels):
    n_inner = len(arrays[f"{prefix}column"])
    n, widest = int(domain.first_category[-1]), int(domain.n_categories.max())
    shapes = {
        "column": (n_inner,),
        "children": (n_inner, 2),
        "input_sets": (n_inner, widest),
        "output_sets": (n_inner, widest),
        "tables": (n_inner + 1, n),
        "counts": (n,),
        "leaf_rows": (n_inner + 1,),
    }
    parts = {name: _array(arrays, prefix + name, dtype, shapes[name]) for name, dtype in LAYER_ARRAYS.items()}
    layer = TreePermutation(**parts, first_category=domain.first_category, names=domain.column_names, labels=labels)
    layer.check()
    return layer


def _array(arrays, name, dtype, shape):
    """An array of the file in native byte order, of the dtype and shape that it must have."""
    array = arrays[name]
    if array.dtype.newbyteorder("=") != dtype or array.ndim != len(shape):
        raise ValueError(f"array {name} has dtype {array.dtype} and {array.ndim} dimensions")
    if any(wanted is not None and n != wanted for n, wanted in zip(array.shape, shape, strict=True)):
        raise ValueError(f"array {name} has shape {array.shape} instead of {shape}")
    return np.ascontiguousarray(array, dtype=dtype)


def _plain_name(name):
    if isinstance(name, np.generic):
        name = name.item()
    if not isinstance(name, (str, int)):
        raise ValueError(f"column name {name!r} is neither a string nor an integer, which no file can hold")
    return name


def _describe_column(column, name):
    return {
        "values": _plain(column.values, name),
        "dtype": column.values.dtype.str if column.values.dtype.kind in "iubfU" else "object",
        "code": None if column.grouping is None else column.grouping.code.tolist(),
        "log_share": None if column.grouping is None else column.grouping.log_share.tolist(),
        "missing": column.missing,
        "unseen": column.unseen,
    }


def _plain(categories, name):
    values = [v.item() if isinstance(v, np.generic) else v for v in categories.tolist()]
    if categories.dtype.kind == "U":
        _check_width(categories.dtype)
    if not all(isinstance(v, PLAIN) for v in values):
        raise ValueError(f"column {name!r} has categories that are neither numbers nor strings, which no file can hold")
    return values


def _categories(values, dtype):
    if dtype != "object" and np.dtype(dtype).kind not in "iubfU":
        raise ValueError(f"unknown dtype of categories {dtype!r}")
    if not all(isinstance(v, PLAIN) for v in values) or len(set(values)) != len(values):
        raise ValueError("categories are not distinct numbers or strings")
    _check_width(dtype)
    categories = np.empty(len(values), dtype=dtype)
    categories[:] = values
    return categories


def _check_width(dtype):
    """Raise ValueError for strings so wide that a few of them would fill the memory."""
    if np.dtype(dtype).itemsize > WIDEST:
        raise ValueError(f"its strings are wider than {WIDEST // 4:,} characters, which no file can hold")
