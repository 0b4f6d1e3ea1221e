"""Fitted flows as files: arrays and JSON, versioned, never pickle."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ._domain import Domain
from ._files import read_archive, write_archive
from ._flow import DiscreteTreeFlow
from ._independent import IndependentColumns
from ._layer import TreePermutation

FORMAT = "treeflows"
VERSION = 1
LAYER_ARRAYS = {  # name: dtype
    "column": np.int32,
    "children": np.int32,
    "input_sets": np.uint8,
    "output_sets": np.uint8,
    "tables": np.uint8,
    "counts": np.int32,
    "leaf_rows": np.int64,
}


def save(flow, path):
    """Write a fitted flow to one file.

    The file is a NumPy .npz archive of arrays with one JSON member; nothing in it is code. It appears under its name
    only when it is complete.

    Parameters
    ----------
    flow : DiscreteTreeFlow
        A fitted flow. Its ``categories`` parameter is not kept (the fitted domain is), nor a ``random_state`` that is
        no integer.
    path : str or path-like

    Raises
    ------
    ValueError
        If a category is neither a number nor a string.
    OSError
        If the file cannot be written.
    """
    check_is_fitted(flow)
    params = flow.get_params(deep=False)
    params["categories"] = "auto"
    if not isinstance(params["random_state"], (int, np.integer)):
        params["random_state"] = None
    domain = flow._domain
    model = {
        "format": FORMAT,
        "version": VERSION,
        "class": type(flow).__name__,
        "params": {key: value.item() if isinstance(value, np.generic) else value for key, value in params.items()},
        "names": None if domain.names is None else [_plain_name(name) for name in domain.names],
        "feature_names_in": flow.feature_names_in_.tolist() if hasattr(flow, "feature_names_in_") else None,
        "dtypes": domain.dtypes,
        "categories": [_plain(c, name) for c, name in zip(domain.categories, domain.column_names, strict=True)],
        "category_dtypes": [c.dtype.str if c.dtype.kind in "iubfU" else "object" for c in domain.categories],
        "n_layers": len(flow.layers_),
    }
    bases = flow._staged_bases
    arrays = {
        "log_prob": np.array([base.log_prob for base in bases]),
        "concentration": np.array([base.concentration for base in bases]),
        "train_score": flow.train_score_,
    }
    if flow.validation_score_ is not None:
        arrays["validation_score"] = flow.validation_score_
    for t, layer in enumerate(flow.layers_):
        for name, dtype in LAYER_ARRAYS.items():
            array = getattr(layer, name)
            arrays[f"layer{t}_{name}"] = array.astype(np.dtype(dtype).newbyteorder("<"))
    write_archive(path, model, arrays)


def load(path):
    """Read a flow that `save` wrote.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    flow : DiscreteTreeFlow

    Raises
    ------
    ValueError
        If the file is no model file, is damaged, or of a version that this package does not read.
    OSError
        If the file cannot be read.
    """
    model, arrays = read_archive(path)
    if not isinstance(model, dict) or model.get("format") != FORMAT:
        raise ValueError(f"{path} is not a treeflows model file")
    if model.get("version") != VERSION:
        raise ValueError(
            f"{path} has version {model.get('version')} of the model format; this package reads version {VERSION}"
        )
    try:
        return _restore(model, arrays)
    except (KeyError, TypeError, IndexError, ValueError, OverflowError) as error:
        raise ValueError(f"{path} is a damaged treeflows model file ({error})") from error


def _restore(model, arrays):
    if model["class"] != DiscreteTreeFlow.__name__:
        raise ValueError(f"unknown model {model['class']!r}")
    flow = DiscreteTreeFlow(**model["params"])
    domain = Domain(
        tuple(_categories(c, dtype) for c, dtype in zip(model["categories"], model["category_dtypes"], strict=True)),
        None if model["names"] is None else tuple(model["names"]),
        tuple(model["dtypes"]),
    )
    n_columns, n = len(domain.categories), int(domain.first_category[-1])
    if len(domain.dtypes) != n_columns or len(domain.column_names) != n_columns or min(domain.n_categories) < 1:
        raise ValueError("columns and categories do not match")
    if not all(isinstance(dtype, str) for dtype in domain.dtypes):
        raise ValueError("a dtype is no name")
    domain.decode(np.zeros((1, n_columns), dtype=np.uint8))  # raises if a dtype cannot hold its categories
    flow._domain = domain
    flow.categories_ = list(domain.categories)
    flow.n_features_in_ = n_columns
    if model["feature_names_in"] is not None:
        flow.feature_names_in_ = np.array(model["feature_names_in"], dtype=object)
    n_layers = model["n_layers"]
    labels = [domain.labels] + [domain.code_labels] * n_layers
    flow.layers_ = [_layer(arrays, t, domain, labels[t]) for t in range(n_layers)]
    log_prob = _array(arrays, "log_prob", np.float64, (n_layers + 1, n))
    concentration = _array(arrays, "concentration", np.float64, (n_layers + 1, n_columns))
    if not np.allclose(np.add.reduceat(np.exp(log_prob), domain.first_category[:-1], axis=1), 1, rtol=0, atol=1e-9):
        raise ValueError("probabilities do not sum to one")
    flow._staged_bases = [
        IndependentColumns(domain.first_category, p, a) for p, a in zip(log_prob, concentration, strict=True)
    ]
    flow.base_ = flow._staged_bases[-1]
    flow.train_score_ = _array(arrays, "train_score", np.float64, (None,))
    scored = "validation_score" in arrays
    flow.validation_score_ = _array(arrays, "validation_score", np.float64, (None,)) if scored else None
    return flow


def _layer(arrays, t, domain, labels):
    n_inner = len(arrays[f"layer{t}_column"])
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
    parts = {name: _array(arrays, f"layer{t}_{name}", dtype, shapes[name]) for name, dtype in LAYER_ARRAYS.items()}
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


def _plain(categories, name):
    values = [v.item() if isinstance(v, np.generic) else v for v in categories.tolist()]
    if not all(isinstance(v, (str, int, float, bool)) for v in values):
        raise ValueError(f"column {name!r} has categories that are neither numbers nor strings, which no file can hold")
    return values


def _categories(values, dtype):
    if dtype != "object" and np.dtype(dtype).kind not in "iubfU":
        raise ValueError(f"unknown dtype of categories {dtype!r}")
    categories = np.empty(len(values), dtype=dtype)
    categories[:] = values
    return categories
