"""
Tables as they are
==================

Ages beside occupations, prices beside grades, calls beside balances: a table as it comes has numbers and categories.
The models take both, each given all others. Three tables, and what can be asked of them.
"""

# %%
# People
# ------
# The adult table is from the census of the United States of 1994. Nothing is prepared but that "0" and "?" stand for what was
# not told. Ages, hours, gains, losses and the weights of the census are integers of many values, hence *quantities*; the
# years of education are few, hence categories in their order (`Tables <../tables.html#what-a-column-is>`_ has the rule).

import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.metrics import log_loss

from treeflows import (
    MarginalsDisplay,
    PairDisplay,
    TreeFlowClassifier,
    TreeFlowMixture,
    TreeFlowRegressor,
    evaluate_synthetic,
)

folder = Path(os.environ.get("TREEFLOWS_DATA", ".")) / "csv"
not_told = {name: ["0", "?"] for name in ("workclass", "occupation", "native-country")}


def drawn(file, **options):
    """5,000 rows to learn from, and 2,000 others."""
    table = pd.read_csv(folder / file, **options).sample(7000, random_state=0, ignore_index=True)
    return table[:5000], table[5000:].reset_index(drop=True)


people, others = drawn("adult.csv", na_values=not_told)
model = TreeFlowMixture(random_state=0, n_jobs=-1).fit(people)
synthetic = model.sample(5000, random_state=1)
print(synthetic.iloc[:5, :12].to_string())

# %%
# Samples have the columns, the dtypes and the missing cells of the table. Here are the columns that differ most between
# data and samples: of numbers a histogram, and a stem for a value that recurs, such as a gain of 0 or a week of 40 hours.

MarginalsDisplay.from_estimator(model, people, max_columns=8, random_state=1)
plt.show()

# %%
# How good are the samples? `evaluate_synthetic <treeflows.evaluate_synthetic>` compares columns (shape) and pairs of
# them (trend), and lets boosted trees tell samples from data (C2ST: 1 if they cannot). Models of income that learned from
# samples are tried on people whom nobody has seen.

print(evaluate_synthetic(people, synthetic, others, "class"))

# %%
# What stands in a missing cell is the median of a number, or the most probable category, given the rest of the row. In
# each of 400 rows one of four cells is taken away:

whole = others[others.notna().all(axis=1)][:400].reset_index(drop=True)
columns = ["age", "hours-per-week", "education", "occupation"]
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
boosted.fit(together[:5000], y)
classifier = TreeFlowClassifier(random_state=0, n_jobs=-1).fit(X, y)
for name, prob in {
    "treeflows": classifier.predict_proba(X_others),
    "boosted trees": boosted.predict_proba(together[5000:]),
}.items():
    right = (classifier.classes_[prob.argmax(axis=1)] == y_others).mean()
    print(f"{name:14} {right:.1%} right, log-loss {log_loss(y_others, prob):.3f}")

# %%
# Diamonds
# --------
# Sizes and prices are numbers; cut, colour and clarity are grades. A categorical dtype tells their order, so that trees
# may ask for the better ones.

grades = {
    "cut": ["Fair", "Good", "Very Good", "Premium", "Ideal"],
    "color": list("JIHGFED"),
    "clarity": ["I1", "SI2", "SI1", "VS2", "VS1", "VVS2", "VVS1", "IF"],
}
grades = {name: pd.CategoricalDtype(values, ordered=True) for name, values in grades.items()}
diamonds, new = (table.astype(grades) for table in drawn("diamonds.csv"))
jeweller = TreeFlowMixture(random_state=0, n_jobs=-1).fit(diamonds)
PairDisplay.from_estimator(jeweller, diamonds, columns=("carat", "price"), random_state=0)
plt.show()

# %%
# Stones just above one carat and a half carat are many, those just below few: samples have learned that from the table.
#
# A regressor tells the whole distribution of a price, not only its mean. Three stones, their densities, and what they
# were sold for:

X, y = without(diamonds, "price")
X_new, y_new = without(new, "price")
regressor = TreeFlowRegressor(random_state=0, n_jobs=-1).fit(X, y)
three = X_new.assign(price=y_new).sort_values("price").iloc[[300, 1000, 1700]]
figure, ax = plt.subplots(figsize=(7, 3.4), layout="constrained")
price = np.geomspace(400, 15_000, 400).astype(int)
for i, (row, stone) in enumerate(three.iterrows()):
    stones = X_new.loc[[row] * len(price)]
    density = np.exp(regressor.log_density(stones, price))
    name = f"{stone.carat} carat, {stone.cut}, {stone.color}, {stone.clarity}"
    ax.plot(price, density * price, color=f"C{i}", label=name)
    ax.axvline(stone.price, color=f"C{i}", linestyle="--", linewidth=1)
ax.set(xscale="log", xlabel="price, dollars (dashed: what was paid)", ylabel="density of the price's logarithm", ylim=0)
ax.set_xticks([500, 1000, 2000, 5000, 10_000], ["500", "1,000", "2,000", "5,000", "10,000"])
ax.legend(fontsize=8)
plt.show()

# %%
# Quantiles are intervals of prices. The mean beside that of boosted trees, by its root mean squared error:

low, middle, high = regressor.predict_quantiles(X_new, [0.1, 0.5, 0.9]).T
print(f"{((low <= y_new) & (y_new <= high)).mean():.0%} of the prices lie between the quantiles of 10 and 90 %,")
print(
    f"which are {np.median(high / low):.2f} apart, as a ratio; the median is {np.median(abs(middle / y_new - 1)):.1%} off"
)
boosted = HistGradientBoostingRegressor(random_state=0, categorical_features="from_dtype").fit(X, y)
for name, mean in {"treeflows": regressor.predict(X_new), "boosted trees": boosted.predict(X_new)}.items():
    print(f"{name:14} {np.sqrt(np.mean((mean - y_new) ** 2)):,.0f} dollars")

# %%
# A bank's calls
# --------------
# Clients of a Portuguese bank who were called, and whether they took a deposit. ``given`` draws rows of a kind: a value, or a
# range of a number, of which either end may be open.

clients, called = drawn("bank.csv")
caller = TreeFlowMixture(random_state=0, n_jobs=-1).fit(clients)
for given in ({"age": (60, None)}, {"age": (None, 30), "housing": "no"}):
    rows = caller.sample(2000, random_state=0, given=given)
    age_from, age_to = given["age"]
    real = clients[clients["age"].between(age_from or 0, age_to or 200)]
    real = real[real["housing"] == given["housing"]] if "housing" in given else real
    print(
        f"{given}: {(rows['y'] == 'yes').mean():.1%} of the samples and {(real['y'] == 'yes').mean():.1%} of", end=" "
    )
    print(f"{len(real)} clients took it; mean balance {rows['balance'].mean():,.0f} and {real['balance'].mean():,.0f}")

# %%
# What a conversation of so many seconds says of its end, for one client after another:

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
# And the oddest calls. Of a number the print says how probable one as far out is, given the rest of the row:

print(caller.anomalies(called, 5).to_text(n_cells=3))
