"""Fitted models as files: arrays and JSON, versioned, never pickle."""

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..densities.other import OtherDensity
from ..densities.stored import Stored
from ..machine.archives import read_archive, write_archive
from ..models.autoregressive import AutoregressiveTreeFlow
from ..models.classifier import TreeFlowClassifier
from ..models.discrete import DiscreteTreeFlow
from ..models.ensemble import TreeFlowEnsemble
from ..models.mixture import TreeFlowMixture
from ..tables.columns import Column, Grouping
from ..tables.containers import CONTAINERS, NUMPY
from ..tables.domain import Domain
from ..tables.policy import TablePolicy
from .version_1 import upgraded

FORMAT = "treeflows"
VERSION = 2
PLAIN = (str, int, float, bool)  # what a category may be in a file
WIDEST = 2**16  # bytes of a string in an array
MODELS = {  # what a file may make
    model.__name__: model
    for model in (DiscreteTreeFlow, AutoregressiveTreeFlow, TreeFlowEnsemble, TreeFlowMixture, TreeFlowClassifier)
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
    domain, arrays = model.domain_, {}
    written = {
        "format": FORMAT,
        "version": VERSION,
        "names": None if domain.names is None else [_plain_name(name) for name in domain.names],
        "container": domain.container,
        "dtypes": domain.dtypes,
        "columns": [_describe_column(c, name) for c, name in zip(domain.columns, domain.column_names, strict=True)],
        "model": _describe(model),
        "distribution": _take_apart(model.distribution_, "", arrays),
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
    if written.get("version") not in (1, VERSION):
        raise ValueError(
            f"{path} has version {written.get('version')} of the model format; this package reads up to {VERSION}"
        )
    try:
        if written["version"] == 1:
            written, arrays = upgraded(written, arrays)
        domain = _restore_domain(written)
        distribution = _put_together(written["distribution"], "", arrays, domain.n_categories)
        if arrays:
            raise ValueError(f"no part of it is an array {min(arrays)}")
        return _restore(written["model"]).take(domain, distribution)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is a damaged treeflows model file ({error})") from error


# ---- writing: what is no array as JSON, arrays under names that start with the model's own ----


def _describe(model):
    """Class and parameters of a model as JSON holds them; what it cannot hold is replaced by the default."""
    if type(model) not in MODELS.values():
        raise ValueError(f"{model!r} is no model of treeflows, which no file can hold; use pickle or joblib")
    defaults = type(model)().get_params(deep=False)
    plain = {}
    for key, value in model.get_params(deep=False).items():
        if isinstance(value, np.generic):
            value = value.item()
        elif key == "order" and not isinstance(value, str):
            value = np.asarray(value).tolist()
        elif isinstance(value, BaseEstimator):
            value = _describe(value)
        elif isinstance(value, list) and all(isinstance(each, BaseEstimator) for each in value):
            value = list(map(_describe, value))
        kept = key != "categories" and isinstance(value, (str, int, float, list, dict, type(None)))
        plain[key] = value if kept else defaults[key]
    return {"class": type(model).__name__, "params": plain}


def _take_apart(part, prefix, arrays):
    """The kind of a density or a part of one, and of what it is made of; its arrays go to ``arrays``."""
    if isinstance(part, OtherDensity):
        raise ValueError(f"{part.estimator!r} is no model of treeflows, which no file can hold; use pickle or joblib")
    written: dict = {"kind": type(part).__name__}
    for name, spec in type(part).parts().items():
        value = getattr(part, name)
        if isinstance(value, tuple):
            written[name] = [_take_apart(each, f"{prefix}{name}{i}_", arrays) for i, each in enumerate(value)]
        elif spec is None:
            written[name] = _take_apart(value, f"{prefix}{name}_", arrays)
        elif value is not None:
            arrays[f"{prefix}{name}"] = value.astype(np.dtype(spec.dtype).newbyteorder("<"))
    return written


# ---- reading ----


def _put_together(written, prefix, arrays, n_categories):
    """What `_take_apart` took apart, checked; its arrays are taken out of ``arrays``."""
    kind = Stored.kinds.get(written["kind"])
    if kind is None or kind is OtherDensity:
        raise ValueError(f"unknown kind of density {written['kind']!r}")
    parts: dict = {}
    for name, spec in kind.parts().items():
        if spec is None and isinstance(written[name], list):
            each = enumerate(written[name])
            parts[name] = tuple(_put_together(w, f"{prefix}{name}{i}_", arrays, n_categories) for i, w in each)
        elif spec is None:
            parts[name] = _put_together(written[name], f"{prefix}{name}_", arrays, n_categories)
        elif prefix + name in arrays or name not in kind.optional():
            array = arrays.pop(prefix + name)
            parts[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    part = kind(n_categories, **parts)
    part.check()
    return part


def _restore(written):
    """An unfitted model of the parameters that a file tells."""
    if written["class"] not in MODELS:
        raise ValueError(f"unknown model {written['class']!r}")
    model = MODELS[written["class"]](**{key: _restored(value) for key, value in written["params"].items()})
    model.check_parameters()
    TablePolicy.of(model).check()
    return model


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


def _restored(value):
    """A parameter of a model, which may be a model or a list of models."""
    if isinstance(value, list):
        return list(map(_restored, value))
    return _restore(value) if isinstance(value, dict) else value


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
    for v in values:
        if isinstance(v, str) and not v.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in v):
            raise ValueError(
                f"column {name!r} has the category {v!r}, a text with half a character, which no file can hold"
            )
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
