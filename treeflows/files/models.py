"""Fitted models as files: arrays and JSON, versioned, never pickle."""

from dataclasses import asdict, replace
from numbers import Real
from operator import index
from typing import get_args, get_type_hints

import numpy as np
from joblib import cpu_count
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..densities.density import Density
from ..densities.other import OtherDensity
from ..densities.stored import Array, Stored
from ..machine.archives import read_archive, write_archive
from ..models.autoregressive import AutoregressiveTreeFlow
from ..models.classifier import TreeFlowClassifier
from ..models.discrete import DiscreteTreeFlow
from ..models.ensemble import TreeFlowEnsemble
from ..models.mixture import TreeFlowMixture
from ..models.regressor import TreeFlowRegressor
from ..tables.columns import Column, Grouping
from ..tables.containers import CONTAINERS, NUMPY, Table
from ..tables.contexts import beside
from ..tables.domain import Domain
from ..tables.policy import TablePolicy
from ..tables.quantities import Quantity
from .version_1 import upgraded

FORMAT = "treeflows"
VERSION = 2
MOST_BYTES = 2**26  # that strings may take in memory, in one row and in all categories: arrays hold them at full width
DEEPEST = 8  # of models within models
MODELS = {  # what a file may make
    model.__name__: model
    for model in (
        DiscreteTreeFlow,
        AutoregressiveTreeFlow,
        TreeFlowEnsemble,
        TreeFlowMixture,
        TreeFlowClassifier,
        TreeFlowRegressor,
    )
}


def save(model, path):
    """Write a fitted model to one file.

    The file is a NumPy .npz archive of arrays with one JSON member; nothing in it is code. It appears under its name
    only when it is complete.

    Parameters
    ----------
    model : estimator of this package
        A fitted model. Its ``categories`` parameter is not kept (the fitted domain is), nor a ``random_state`` that is
        no integer, nor the code of a ``criterion`` of your own.
    path : str or path-like

    Raises
    ------
    ValueError
        If a category is neither a number nor a string, a base or member is no model of this package, models stand
        within models more than 8 deep, or names and categories take more than 16 MB, or 64 MB at full width.
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
    arrays: dict = {}
    written = {
        "format": FORMAT,
        "version": VERSION,
        **_describe_domain(model.domain_),
        "model": _describe(model),
        "distribution": _take_apart(model.distribution_, "", arrays),
    }
    if model.context_ is not None:
        written["context"] = _describe_domain(model.context_)
    write_archive(path, written, arrays)


def load(path):
    """Read a model that `save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    model : estimator of this package
        With an ``n_jobs`` of at most the number of cores.

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
        domain, context = _restore_domain(written), None
        joint = domain
        if "context" in written:
            context = _restore_domain(written["context"], always_named=True)
            joint = beside(domain, context)
        distribution = _put_together(written["distribution"], "", arrays, joint.n_categories)
        if arrays:
            raise ValueError(f"no part of it is an array {min(arrays)}")
        model = _restore(written["model"], len(domain.columns)).take(
            domain, distribution, *([] if context is None else [context])
        )
        _check_kinds(model, joint)
        return model
    except (KeyError, AttributeError, TypeError, IndexError, ValueError, OverflowError, RecursionError) as error:
        raise ValueError(f"{path} is a damaged treeflows model file ({error})") from error


# ---- writing: what is no array as JSON, arrays under names that start with the model's own ----


def _describe(model):
    """Class and parameters of a model as JSON holds them; what it cannot hold is replaced by the default."""
    if type(model) not in MODELS.values():
        raise ValueError(f"{model!r} is no model of treeflows, which no file can hold; use pickle or joblib")
    defaults = type(model)().get_params(deep=False)
    plain = {}
    for key, value in model.get_params(deep=False).items():
        if isinstance(value, Real) and not isinstance(value, (bool, int)):
            value = value.item() if isinstance(value, np.generic) else float(value)
        elif key == "order" and not isinstance(value, str):
            value = np.asarray(value).tolist()
        elif isinstance(value, BaseEstimator):
            value = _describe(value)
        elif isinstance(value, list) and all(isinstance(each, BaseEstimator) for each in value):
            value = list(map(_describe, value))
        if key == "numeric" and not isinstance(value, str):  # which columns it names, the domain knows
            continue
        kept = key != "categories" and isinstance(value, (str, int, float, list, dict, type(None)))
        plain[key] = value if kept else defaults[key]
    return {"class": type(model).__name__, "params": plain}


def _take_apart(part, prefix, arrays):
    """The kind of a density or a part of one, and of what it is made of; its arrays go to ``arrays``."""
    if isinstance(part, OtherDensity):
        raise ValueError(f"{part.estimator!r} is no model of treeflows, which no file can hold; use pickle or joblib")
    _check_depth(prefix.count("_"))
    written: dict = {"kind": type(part).__name__}
    for name, spec in type(part).parts().items():
        value = getattr(part, name)
        if isinstance(value, tuple):
            written[name] = [_take_apart(each, f"{prefix}{name}{i}_", arrays) for i, each in enumerate(value)]
        elif not isinstance(spec, Array):
            written[name] = _take_apart(value, f"{prefix}{name}_", arrays)
        elif value is not None:
            arrays[f"{prefix}{name}"] = value.astype(np.dtype(spec.dtype).newbyteorder("<"), copy=False)
    return written


# ---- reading ----


def _put_together(written, prefix, arrays, n_categories):
    """What `_take_apart` took apart, checked; its arrays are taken out of ``arrays``."""
    _check_depth(prefix.count("_"))
    kind = Stored.kinds.get(written["kind"])
    if kind is None or kind is OtherDensity or not kind.parts():
        raise ValueError(f"unknown kind of density {written['kind']!r}")
    parts: dict = {}
    for name, spec in kind.parts().items():
        if not isinstance(spec, Array):
            if name not in written and name in kind.optional():
                continue
            k = kind.code_categories(name, n_categories, parts)
            if isinstance(written[name], list):
                each = enumerate(written[name])
                parts[name] = tuple(_put_together(w, f"{prefix}{name}{i}_", arrays, k) for i, w in each)
            else:
                parts[name] = _put_together(written[name], f"{prefix}{name}_", arrays, k)
        elif prefix + name in arrays or name not in kind.optional():
            array = arrays.pop(prefix + name)
            parts[name] = np.ascontiguousarray(array, array.dtype.newbyteorder("="))
    part = kind(kind.own_categories(n_categories, parts), **parts)
    part.check()
    return part


def _restore(written, n_columns, depth=0):
    """An unfitted model of the parameters that a file tells."""
    if written["class"] not in MODELS:
        raise ValueError(f"unknown model {written['class']!r}")
    _check_depth(depth)
    params = {}
    for key, value in written["params"].items():
        if key == "order" and isinstance(value, list):
            if sorted(value) != list(range(n_columns)):
                raise ValueError("an order is no permutation of the columns")
        elif isinstance(value, list):
            value = [_restore(each, n_columns, depth + 1) for each in value]
        elif isinstance(value, dict):
            value = _restore(value, n_columns, depth + 1)
        elif key == "n_jobs" and isinstance(value, int):
            value = min(value, cpu_count())  # as many as this machine has use for
        params[key] = value
    model = MODELS[written["class"]](**params)
    model.check_parameters()
    TablePolicy.of(model).check()
    return model


def _check_kinds(model, domain):
    """Raise ValueError unless a model and those inside it have densities of their kind and of their domain.

    The last columns of the domain, those of a context, come first in the order of the density.
    """
    numbers, order, n_context = (
        getattr(model.distribution_, "numbers", None),
        model.distribution_.order,
        domain.n_context,
    )
    if order is not None and n_context and order[:n_context].min() < len(domain.columns) - n_context:
        raise ValueError("the context does not come first in the order")
    if n_context and not model.takes_context:
        raise ValueError(f"a {type(model).__name__} takes no context")
    if numbers is not None:
        missing = [column.missing for column in domain.columns] & domain.numeric
        known = domain.numeric, missing, domain.step, *domain.bounds
        found = numbers.is_number, numbers.missing, numbers.step, numbers.low, numbers.high
        if not all(map(np.array_equal, found, known)):
            raise ValueError("numbers of the density are not those of the domain")
    kind = get_type_hints(type(model)).get("distribution_", Density)
    if not isinstance(model.distribution_, kind):
        wanted = " or a ".join(k.__name__ for k in get_args(kind) or [kind])
        raise ValueError(f"{type(model).__name__} has no {type(model.distribution_).__name__}, but a {wanted}")
    for name in ("base_", "flows_", "estimators_", "density_"):
        parts = getattr(model, name, None)
        for part in parts if isinstance(parts, list) else [parts]:
            if isinstance(part, BaseEstimator):
                _check_kinds(part, domain if part.context_ is not None else part.domain_)


def _restore_domain(written, always_named=False):
    _check_strings(written)
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
    if domain.container == NUMPY and len(set(domain.dtypes)) > 1:
        raise ValueError("the columns of an array have several dtypes")
    unnamed = domain.container == NUMPY and not always_named
    if domain.container not in CONTAINERS or unnamed != (domain.names is None):
        raise ValueError(f"unknown container {domain.container!r}")
    for j, column in enumerate(domain.columns):
        if isinstance(column, Quantity):
            codes = np.array([column.low, column.high, *[np.nan] * column.missing])[:, None]
        else:
            codes = np.arange(column.n_named + column.missing, dtype=np.uint8)[:, None]
        alone = replace(
            domain, columns=(column,), names=domain.names and (domain.names[j],), dtypes=(domain.dtypes[j],)
        )
        try:
            back = alone.encode(Table(alone.decode(codes))).codes
            if not np.array_equal(back, codes, equal_nan=codes.dtype.kind == "f"):
                raise ValueError("values become equal in it")
        except ImportError:  # a model can be asked all but for tables of a library that is not there
            break
        except Exception as error:  # each library has its own
            name = domain.column_names[j]
            raise ValueError(f"dtype {domain.dtypes[j]!r} cannot hold column {name!r} ({error})") from error
    return domain


def _restore_column(written):
    if "tick" in written:
        return _restore_quantity(written)
    code, log_share = written["code"], written["log_share"]
    if (code is None) != (log_share is None):
        raise ValueError("a column has codes of groups, but no shares, or shares and no codes")
    column = Column(
        _categories(written["values"], written["dtype"]),
        None if code is None else Grouping(np.array(code, dtype=np.int16), np.array(log_share, dtype=np.float64)),
        bool(written["missing"]),
        bool(written["unseen"]),
        index(written.get("ordered", 0)),  # not in files from before 0.2
    )
    column.check()
    return column


def _restore_quantity(written):
    quantity = Quantity(
        written["dtype"],
        written["low"],
        written["high"],
        tuple(written["tick"]),
        written["stride"],
        written["origin"],
        bool(written["missing"]),
        bool(written["zoned"]),
    )
    quantity.check()
    return quantity


def _plain_name(name):
    if isinstance(name, np.generic):
        name = name.item()
    if not isinstance(name, (str, int)) or not _is_plain(name):
        raise ValueError(
            f"no file can hold the column name {name!r}: it is neither an integer nor a text of whole characters"
        )
    return name


def _describe_domain(domain):
    """A domain as JSON holds it."""
    written = {
        "names": None if domain.names is None else [_plain_name(name) for name in domain.names],
        "container": domain.container,
        "dtypes": domain.dtypes,
        "columns": [_describe_column(c, name) for c, name in zip(domain.columns, domain.column_names, strict=True)],
    }
    _check_strings(written)
    return written


def _describe_column(column, name):
    if isinstance(column, Quantity):
        return asdict(column)
    return {
        "values": _plain(column.values, name),
        "dtype": {"U": "U", "O": "object"}.get(column.values.dtype.kind, column.values.dtype.str),
        "code": None if column.grouping is None else column.grouping.code.tolist(),
        "log_share": None if column.grouping is None else column.grouping.log_share.tolist(),
        "missing": column.missing,
        "unseen": column.unseen,
        "ordered": column.n_ordered,
    }


def _plain(categories, name):
    values = [v.item() if isinstance(v, np.generic) else v for v in categories.tolist()]
    for value in values:
        if not _is_plain(value):
            what = f"categories that are neither numbers nor strings ({value!r})"
            if isinstance(value, str):
                what = f"the category {value!r}, a text with half a character"
            raise ValueError(f"column {name!r} has {what}, which no file can hold")
    return values


def _categories(values, dtype):
    kind = np.dtype(dtype).kind
    if kind not in "iubfUO":
        raise ValueError(f"unknown dtype of categories {dtype!r}")
    if not all(map(_is_plain, values)) or len(set(values)) != len(values):
        raise ValueError("categories are not distinct numbers or strings")
    categories = np.array(values, dtype="U" if kind == "U" else dtype)  # strings as wide as they need
    if categories.tolist() != values:
        raise ValueError(f"categories are not of their dtype {dtype!r}")
    return categories


def _is_plain(value):
    """Whether a file can hold a category or a name: no NaN, no half of a surrogate pair."""
    if isinstance(value, str):
        return value.isascii() or not any("\ud800" <= c <= "\udfff" for c in value)
    return isinstance(value, (int, float)) and value == value


def _check_strings(written):
    """Raise ValueError for strings so wide that arrays of them would fill the memory."""
    categorical = [column for column in written["columns"] if "tick" not in column]
    texts = [column["values"] for column in categorical if np.dtype(column["dtype"]).kind == "U"]
    width = np.dtype(written["dtypes"][0]).itemsize if written["container"] == NUMPY else 0
    if max(width * len(written["columns"]), sum(4 * len(text) * max(map(len, text)) for text in texts)) > MOST_BYTES:
        raise ValueError(f"its strings, all as wide as the longest, take more than {MOST_BYTES:,} bytes")


def _check_depth(depth):
    """Raise ValueError for what stands too deep within others: of an array, as the start of its name tells."""
    if depth > DEEPEST:
        raise ValueError(f"models stand within models more than {DEEPEST} deep")
