"""Model files of version 1, told as version 2 tells them."""

import numpy as np

from .._ext import elementary

LAYER = ("column", "children", "input_sets", "output_sets", "tables", "counts", "leaf_rows")
TREES = ("order", "first_node", "first_leaf", "column", "children", "leaf_rows", "evidence", "concentration")


def upgraded(written, arrays):
    """Description and arrays of a file of version 2 from those of a file of version 1.

    Raises KeyError for what is not there.
    """
    found: dict = {}
    distribution = _distribution(written["model"], "", "", arrays, found)
    return written | {"model": _model(written["model"]), "distribution": distribution}, found


def _model(written):
    """Class and parameters; estimators that models are made of stood beside the parameters."""
    params = dict(written["params"])
    if written["class"] == "TreeFlowClassifier":
        params["estimator"] = None if written["default"] else _part(written["density"])
    elif written["class"] == "TreeFlowEnsemble":
        params["estimator"] = None if written["default"] else list(map(_part, written["members"]))
    elif written["class"] == "TreeFlowMixture" and written["estimator"] is not None:
        params["estimator"] = _part({"class": "AutoregressiveTreeFlow", "params": written["estimator"]})
    elif written["class"] == "DiscreteTreeFlow" and written["bases"] is not None and params["base"] != "tree":
        params["base"] = _part(written["bases"][-1])
    return {"class": written["class"], "params": params}


def _part(written):
    """A model inside another: parameters of tables, which never applied to it, are left out."""
    model = _model(written)
    tables = ("categories", "missing", "handle_unknown", "min_frequency", "max_categories")
    return model | {"params": {k: v for k, v in model["params"].items() if k not in (*tables, "random_state")}}


def _distribution(written, old, new, arrays, found):
    """The description of what was learned; arrays go to ``found``, under names with ``new`` for ``old``."""

    def move(names, before=old, after=new):
        for name in names:
            found[after + name] = arrays[before + name]

    def parts(before, after, models):
        return [
            _distribution(model, f"{old}{before}{i}_", f"{new}{after}{i}_", arrays, found)
            for i, model in enumerate(models)
        ]

    if written["class"] == "TreeFlowClassifier":
        return _distribution(written["density"], old + "density_", new, arrays, found)
    if written["class"] == "TreeFlowEnsemble":
        found[new + "weight"] = arrays[old + "member_weight"]
        return {"kind": "WeightedMean", "members": parts("member", "members", written["members"])}
    if written["class"] == "TreeFlowMixture":
        move(["share"])
        move(["weight", "prob"], after=new + "products_")
        scores = {int(n): float(score) for n, score in written["validation_score"]}
        found[new + "tried"] = np.array(list(scores), dtype=np.int32)
        found[new + "validation_score"] = np.array(list(scores.values()))
        trees = parts("flow", "trees", written["flows"])
        return {"kind": "Pool", "trees": trees, "products": {"kind": "ProductMixture"}}
    if written["class"] == "AutoregressiveTreeFlow":
        move(TREES)
        found[new + "low"] = arrays[old + "category"]
        found[new + "high"] = arrays[old + "category"].copy()
        found[new + "prob"] = elementary.exp(arrays[old + "log_prob"])
        return {"kind": "Conditionals"}
    for t in range(written["n_layers"]):
        move(LAYER, f"{old}layer{t}_", f"{new}layers{t}_")
    move(["train_score"] + ["validation_score"] * (old + "validation_score" in arrays))
    if written["bases"] is None:
        bases = [{"kind": "IndependentColumns"}] * (written["n_layers"] + 1)
        for t in range(len(bases)):
            found[f"{new}bases{t}_prob"] = elementary.exp(arrays[old + "log_prob"][t])
            found[f"{new}bases{t}_concentration"] = np.array(arrays[old + "concentration"][t])
    else:
        bases = parts("base", "bases", written["bases"])
    return {"kind": "Layered", "layers": [{"kind": "TreePermutation"}] * written["n_layers"], "bases": bases}
