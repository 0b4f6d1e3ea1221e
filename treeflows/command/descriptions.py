"""Models in words: what was learned of each column, by each layer, by each member."""

from ..models.autoregressive import AutoregressiveTreeFlow
from ..models.discrete import DiscreteTreeFlow
from ..models.ensemble import TreeFlowEnsemble
from ..models.mixture import TreeFlowMixture


def describe(model, *, column=None, layer=None, depth=None):
    """What a fitted model has learned.

    Parameters
    ----------
    model : fitted model of this package
    column : str, default=None
        Column whose tree to tell, of a model that has one for each.
    layer : int, default=None
        Layer to tell, from 1, of a discrete tree flow.
    depth : int, default=None
        How deep to tell the tree; None is all of it.

    Returns
    -------
    figures : dict
        For programs; plain values.
    text : str

    Raises
    ------
    ValueError
        For a column or layer that is not there, or that this kind of model does not have.
    """
    domain, kind = model.domain_, type(model).__name__
    tell = {
        AutoregressiveTreeFlow: _trees,
        TreeFlowMixture: _mixture,
        TreeFlowEnsemble: _members,
        DiscreteTreeFlow: _layers,
    }[type(model)]
    has = {_trees: ("column",), _mixture: ("column",), _members: (), _layers: ("layer",)}[tell]
    for option, given in (("column", column), ("layer", layer)):
        if given is not None and option not in has:
            raise ValueError(f"--{option} is not for a model of the kind {kind}")
    figures, text = tell(model, layer if "layer" in has else column, depth)
    lines = [f"{kind}: {model.n_features_in_} columns\n\ncolumn: categories"]
    for name, labels in zip(domain.column_names, domain.labels, strict=True):
        lines.append(f"  {name}: {', '.join(labels[:8])}{f', … ({len(labels)})' if len(labels) > 8 else ''}")
    columns = dict(zip(domain.column_names, domain.labels, strict=True))
    return {"kind": kind, "columns": columns} | figures, "\n".join([*lines, "", text])


def _trees(model, column, depth):
    """Figures and text of an autoregressive tree flow."""
    names, trees = model.domain_.column_names, model.trees_
    leaves = [len(tree.leaf_rows) for tree in trees]
    n_rows = int(trees[0].leaf_rows.sum())
    nll = (0.0 - model.evidence_ / n_rows).tolist()
    order = [names[j] for j in model.order_]
    figures = {"order": order, "leaves": leaves, "nll_by_evidence": nll}
    lines = [f"columns in order: leaves of the tree, and cost of the {n_rows:,} rows by its evidence, nats a row"]
    lines += [f"  {names[j]}: {leaves[j]}, {nll[j]:.4f}" for j in model.order_]
    lines.append(f"  all: {sum(leaves)}, {sum(nll):.4f}")
    if column is None:
        lines.append("\n--column NAME prints the tree of a column")
    else:
        lines.append("\n" + trees[model.domain_.index(column)].to_text(depth))
    return figures, "\n".join(lines)


def _mixture(model, column, depth):
    """Figures and text of a tree flow with a hidden column; its first tree flow stands for the others."""
    figures, text = _trees(model.flows_[0], column, depth)
    names, shares, states = model.domain_.column_names, model.share_, model.weights_
    lines = [
        f"hidden column: {len(states)} states of probability {', '.join(f'{p:.3f}' for p in states[:8])}"
        f"{', …' if len(states) > 8 else ''}",
        f"\nshares in each column's distribution: its tree, {len(model.flows_) - 1} further trees, the hidden column",
    ]
    lines += [f"  {names[j]}: {', '.join(f'{s:.2f}' for s in shares[j])}" for j in model.flows_[0].order_]
    figures |= {"states": states.tolist(), "shares": shares.tolist()}
    return figures, "\n".join([*lines, "", text])


def _members(model, _what, _depth):
    """Figures and text of an ensemble."""
    kinds = [type(member).__name__ for member in model.estimators_]
    lines = ["members and their weights:"]
    lines += [f"  {kind}: {weight:.3f}" for kind, weight in zip(kinds, model.weights_, strict=True)]
    return {"members": kinds, "weights": model.weights_.tolist()}, "\n".join(lines)


def _layers(model, layer, depth):
    """Figures and text of a discrete tree flow."""
    n_layers, shown = len(model.layers_), 1 if layer is None else layer
    if n_layers and not 1 <= shown <= n_layers:
        raise ValueError(f"the model has layers 1 to {n_layers}, not {shown}")
    leaves, nll = [layer.n_leaves for layer in model.layers_], [-s for s in model.train_score_[: n_layers + 1]]
    lines = ["layers: negative log-likelihood, nats per training row", f"  0: {nll[0]:.4f}, the base alone"]
    lines += [f"  {t}: {nll[t]:.4f}, leaves: {leaves[t - 1]}" for t in range(1, n_layers + 1)]
    if n_layers:
        lines.append(f"\nlayer {shown}: {model.layers_[shown - 1].to_text(depth)}")
    return {"layers": n_layers, "leaves": leaves, "nll": nll}, "\n".join(lines)
