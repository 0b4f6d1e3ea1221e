"""
Tables as they are
==================

Ages beside occupations, prices beside grades, calls beside balances: a table as it comes has numbers and categories.
The models take both, each given all others. Three tables, and what can be asked of them.
"""

# %%
# People
# ------
# The adult table is from the census of the United States of 1994. Nothing is prepared but that "0" and "?" stand for
# what was not told. Ages, hours, gains, losses and the weights of the census are integers of many values, hence
# *quantities*; the years of education are few, hence categories in their order (`Tables
# <../tables.html#what-a-column-is>`_ has the rule).

import os
import warnings
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss, mean_pinball_loss

from treeflows import (
    MarginalsDisplay,
    MonteCarloWarning,
    PairDisplay,
    TreeFlowClassifier,
    TreeFlowMixture,
    TreeFlowRegressor,
    evaluate_synthetic,
)

warnings.simplefilter("ignore", MonteCarloWarning)  # it says which answers are estimates, and how good they are
folder = Path(os.environ.get("TREEFLOWS_DATA", ".")) / "csv"
not_told = {name: ["0", "?"] for name in ("workclass", "occupation", "native-country")}


def drawn(file, **options):
    """4,000 rows to learn from, and 2,000 others."""
    table = pd.read_csv(folder / file, **options).sample(6000, random_state=0, ignore_index=True)
    return table[:4000], table[4000:].reset_index(drop=True)


people, others = drawn("adult.csv", na_values=not_told)
model = TreeFlowMixture(random_state=0, n_jobs=-1).fit(people)
synthetic = model.sample(4000, random_state=1)
print(synthetic.iloc[:5, :12].to_string())

# %%
# Samples have the columns, the dtypes and the missing cells of the table. Here are the columns that differ most
# between data and samples: of numbers a histogram, and a stem for a value that recurs, such as a gain of 0 or a week
# of 40 hours.

MarginalsDisplay.from_estimator(model, people, max_columns=8, random_state=1)
plt.show()

# %%
# How good are the samples? `evaluate_synthetic <treeflows.evaluate_synthetic>` compares columns (shape) and pairs of
# them (trend), and lets boosted trees tell samples from data (C2ST: 1 if they cannot). Models of income that learned
# from samples are tried on people whom nobody has seen.

print(evaluate_synthetic(people, synthetic, others, "class"))

# %%
# What stands in a missing cell is the median of a number, or the most probable category, given the rest of the row.
# In each of 400 rows one of four cells is taken away:

whole = others[others.notna().all(axis=1)][:400].reset_index(drop=True)
columns = ["age", "hours-per-week", "marital-status", "occupation"]
hidden = {name: np.arange(400) % 4 == i for i, name in enumerate(columns)}
holed = whole.assign(**{name: whole[name].mask(rows) for name, rows in hidden.items()})
filled = model.impute(holed)
for name, rows in hidden.items():
    truth, by_row = whole[name][rows], filled[name][rows]
    if name in columns[:2]:
        off, off_by_median = (abs(truth - guess).mean() for guess in (by_row, people[name].median()))
        print(f"{name:15} {off:5.2f} off on average; the median of the column is {off_by_median:.2f} off")
    else:
        right, right_by_mode = ((truth == guess).mean() for guess in (by_row, people[name].mode()[0]))
        print(f"{name:15} {right:5.0%} right; the most common value is {right_by_mode:.0%} right")

# %%
# Income by a classifier, which is a density of the table with its labels. Boosted trees beside it:


def without(table, column):
    """What is known, and what is asked."""
    return table.drop(columns=column), table[column]


def for_boosting(table):
    """Text as categories."""
    return table.apply(lambda column: column if column.dtype.kind in "iuf" else column.astype("category"))


X, y = without(people, "class")
X_others, y_others = without(others, "class")
boosted = HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype")
together = for_boosting(pd.concat([X, X_others], ignore_index=True))
boosted.fit(together[:4000], y)
classifier = TreeFlowClassifier(random_state=0, n_jobs=-1).fit(X, y)
for name, prob in {
    "treeflows": classifier.predict_proba(X_others),
    "boosted trees": boosted.predict_proba(together[4000:]),
}.items():
    right = (classifier.classes_[prob.argmax(axis=1)] == y_others).mean()
    print(f"{name:14} {right:.1%} right, log-loss {log_loss(y_others, prob):.3f}")

# %%
# Diamonds
# --------
# Sizes and prices are numbers; cut, colour and clarity are grades. A categorical dtype tells their order, so that
# trees may ask for the better ones. A regressor tells the whole distribution of a price, not only its mean; it is a
# density of stones with their prices, which can be sampled too.

grades = {
    "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    "color": list("JIHGFED"),
    "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
}
grades = {name: pd.CategoricalDtype(values, ordered=True) for name, values in grades.items()}
diamonds, new = (table.astype(grades) for table in drawn("diamonds.csv"))
X, y = without(diamonds, "price")
X_new, y_new = without(new, "price")
regressor = TreeFlowRegressor(random_state=0, n_jobs=-1).fit(X, y)
table = X.assign(price=y)
PairDisplay.from_estimator(regressor.density_, table, columns=("carat", "price"), random_state=0)
plt.show()

# %%
# Stones of just one carat or just one and a half are many, those a little lighter are few: samples have it from the
# table. Some of them lie far off, since the tails of densities are heavy: no price is impossible.
#
# Of sixty new stones, what the regressor expects: the median, and the intervals that hold half and four fifths of the
# probability. Points are what was paid.

stones = np.argsort(y_new.to_numpy(), kind="stable")[10::34]
told = regressor.predict_quantiles(X_new.iloc[stones], [0.1, 0.25, 0.5, 0.75, 0.9]).T
figure, ax = plt.subplots(figsize=(8, 3.6), layout="constrained")
place = np.arange(len(stones))
ax.vlines(place, told[0], told[4], color="C0", alpha=0.35, linewidth=4, label="80 %")
ax.vlines(place, told[1], told[3], color="C0", alpha=0.7, linewidth=4, label="50 %")
ax.plot(place, told[2], "_", color="white", markersize=5)
ax.plot(place, y_new.iloc[stones], "o", color="C1", markersize=3.5, label="paid")
ax.set(yscale="log", ylabel="price, dollars", xlabel="stones by price", xticks=[])
ax.set_yticks([500, 1000, 2000, 5000, 10_000], ["500", "1,000", "2,000", "5,000", "10,000"])
ax.legend(fontsize=8)
plt.show()

# %%
# Beside boosted trees, one for the mean and one for each quantile, by the root mean squared error of the mean and the
# pinball losses of quantiles. On so few stones those, each fitted for one answer, are nearer; the regressor has all
# answers from one fit, and intervals that are rather too wide than too narrow.

levels = (0.1, 0.5, 0.9)
quantiles = regressor.predict_quantiles(X_new, levels).T
print(f"{((quantiles[0] <= y_new) & (y_new <= quantiles[2])).mean():.0%} of the prices lie between the outer quantiles")
options = {"random_state": 0, "categorical_features": "from_dtype"}
boosted = [HistGradientBoostingRegressor(loss="quantile", quantile=q, **options).fit(X, y) for q in levels]
mean = HistGradientBoostingRegressor(**options).fit(X, y).predict(X_new)
for name, middle, guesses in (
    ("treeflows", regressor.predict(X_new), quantiles),
    ("boosted trees", mean, [model.predict(X_new) for model in boosted]),
):
    losses = [mean_pinball_loss(y_new, guess, alpha=q) for q, guess in zip(levels, guesses, strict=True)]
    error = np.sqrt(np.mean((middle - y_new) ** 2))
    print(f"{name:14} mean: {error:4.0f} dollars; quantiles: {', '.join(f'{loss:.0f}' for loss in losses)}")

# %%
# A bank's calls
# --------------
# Clients of a Portuguese bank who were called, and whether they took a deposit. ``given`` draws rows of a kind: a
# value, or a range of a number, of which either end may be open. Here calls of ten minutes and more, and of one
# minute at most:

clients, called = drawn("bank.csv")
caller = TreeFlowMixture(random_state=0, n_jobs=-1).fit(clients)
for least, most in ((600, None), (None, 60)):
    rows = caller.sample(1000, random_state=0, given={"duration": (least, most)})
    real = clients[clients["duration"].between(least or 0, most or np.inf)]
    print(f"from {least} to {most} seconds: {(rows['y'] == 'yes').mean():.1%} of the samples took it,", end=" ")
    print(f"and {(real['y'] == 'yes').mean():.1%} of {len(real)} clients")

# %%
# What a conversation of so many seconds says of its end, for three of the clients:

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
seconds = np.geomspace(20, 2500, 60).astype(int)
for i, row in enumerate([called.index[called["poutcome"] == name][0] for name in ("unknown", "failure", "success")]):
    calls = called.loc[[row] * len(seconds)].assign(duration=seconds)
    prob = caller.conditional_proba(calls, "y")[:, list(caller.categories_[-1]).index("yes")]
    client = called.loc[row]
    ax.plot(seconds, prob, color=f"C{i}", label=f"{client.age} years, {client.job}, last time: {client.poutcome}")
ax.set(xscale="log", xlabel="seconds of the call", ylabel="probability of a deposit", ylim=(0, 1))
ax.set_xticks([30, 100, 300, 1000], ["30", "100", "300", "1,000"])
ax.legend(fontsize=8)
plt.show()

# %%
# Of a number the whole conditional density is known. What is likely to be in the accounts of the three? Balances are
# whole euros, and 0 recurs: it has a probability of its own.

figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
euros = np.arange(50, 3000)
edges = np.geomspace(50, 3000, 20)
for i, row in enumerate([called.index[called["job"] == name][0] for name in ("blue-collar", "student", "retired")]):
    prob = caller.conditional_density(called.loc[[row]], "balance", [0, *euros])[0]
    share = np.histogram(euros, edges, weights=prob[1:])[0]
    client = called.loc[row]
    label = f"{client.job}, {client.age} years, loan: {client.loan}; nothing: {prob[0]:.1%}"
    ax.stairs(share, edges, color=f"C{i}", label=label)
ax.set(xscale="log", xlabel="balance, euros", ylabel="probability of each interval", ylim=0)
ax.set_xticks([100, 300, 1000, 3000], ["100", "300", "1,000", "3,000"])
ax.legend(fontsize=8)
plt.show()

# %%
# And the oddest calls. Of a number the print says how probable one as far out is, given the rest of the row:

print(caller.anomalies(called, 5).to_text(n_cells=3))
