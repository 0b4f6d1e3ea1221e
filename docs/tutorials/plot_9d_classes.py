"""
Kinds of rows
=============

Is a table made of a handful of kinds of rows, how many are there, what is each like, and what goes with being of one?
Latent class analysis of 178 wines by what a laboratory measures in them. Three growers made them, which is not told to
the analysis.
"""

# %%
# How many?
# ---------
# A model reads the table, and ``find_groups`` looks for classes within which columns are independent: here of one to
# four. Numbers are cut at quintiles. ``n_bootstrap`` is for intervals, ``n_simulations`` for a test of each number
# against one fewer. Alcohol is kept back for later.

import matplotlib.pyplot as plt
import pandas as pd
from sklearn.datasets import load_wine
from sklearn.metrics import adjusted_rand_score

from treeflows import AutoregressiveTreeFlow, GroupsDisplay

wines = load_wine(as_frame=True)
X, alcohol = wines.data.drop(columns="alcohol"), wines.data[["alcohol"]]
X = X.rename(columns={"od280/od315_of_diluted_wines": "od280/od315"})
model = AutoregressiveTreeFlow(random_state=0).fit(X)
groups = model.find_groups(X, range(1, 5), context=alcohol, n_bootstrap=200, n_simulations=19)
columns = ["n_groups", "bic", "held_out", "entropy", "p_value"]
print(pd.DataFrame(groups.criteria)[columns].round(2).to_string(index=False))

# %%
# Three, says the Bayesian information criterion, and wines that were held out say the same: a fourth class makes them
# less likely. The test refuses every number, since it tests more than that: would a table of exactly so many classes,
# of columns that are independent within each, gain as much by one more? Within a class what a laboratory measures is
# not independent, and another class tells some of that. The test is at home among answers to questions; here the other
# two are to be heard.

# %%
# What are they like?
# -------------------
# The profile of each, the columns first in which they differ most, and the criteria.

GroupsDisplay(groups).plot()

# %%
# The same in words, with the bootstrap's intervals of their shares.

low, high = groups.weight_interval()
for i, name in enumerate(groups.names):
    print(f"group {i}: {groups.weight[i]:.0%} of the wines ({low[i]:.0%} to {high[i]:.0%}), {name}")

# %%
# And how sure is a profile? The interval of each of the parts of one column.

print(groups.to_frame().loc["flavanoids"].round(2).to_string())

# %%
# What goes with it?
# ------------------
# Alcohol had no say in what the classes are. Which class is a wine of, the stronger it is?

strength = pd.DataFrame({"alcohol": [11.5, 12.0, 12.5, 13.0, 13.5, 14.0, 14.5]})
chance = groups.membership.predict_proba(strength)
print(groups.membership.to_text())

fig, ax = plt.subplots(figsize=(6, 3.2))
for i in range(len(groups.weight)):
    ax.plot(strength["alcohol"], chance[:, i], marker="o", label=f"group {i}")
ax.set(xlabel="alcohol, per cent", ylabel="probability of the group", ylim=(0, 1))
ax.legend()
fig.tight_layout()

# %%
# Were they the growers?
# ----------------------
# Nobody told, and yet.

print(pd.crosstab(wines.target.rename("grower"), groups.group, colnames=["group"]))
print("adjusted Rand index:", round(adjusted_rand_score(wines.target, groups.group), 2))

# %%
# Rows that come later are of a class too, whatever columns they lack.

few = X[["flavanoids", "hue"]].iloc[[0, 100, 170]]
print(groups.predict_proba(few).round(2))
