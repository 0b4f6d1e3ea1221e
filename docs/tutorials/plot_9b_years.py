"""
What changed between two years
==============================

A bank in Portugal calls its customers and offers them a deposit. Are those whom it called in May 2009, and how it
called them, what they were in May 2008?
"""

# %%
# Two tables
# ----------
# The file ``bank.csv`` in the folder ``TREEFLOWS_DATA`` has the calls in the order in which they were made, from May
# 2008 on (Moro, Cortez, Rita, 2014). Its months come round: the first run of rows of May is one year, the next another.

import os
from pathlib import Path

import pandas as pd

from treeflows import ComparisonDisplay, compare

calls = pd.read_csv(Path(os.environ["TREEFLOWS_DATA"]) / "csv" / "bank.csv")
run = (calls["month"] != calls["month"].shift()).cumsum()
size = run[calls["month"] == "may"].value_counts().sort_index()
long = size.index[size > 1000][:2]
first, second = (calls[run == each].sample(1500, random_state=0) for each in long)
print({year: len(calls[run == each]) for year, each in zip((2008, 2009), long, strict=True)})

# %%
# What differs
# ------------
# Of most columns that differ, as sums of all rows show, one asks in vain why: in a year nearly everything moves. Which
# columns are to blame, that is, which would have to be left out for the rest to be the same?

found = compare(first.drop(columns=["day", "month"]), second.drop(columns=["day", "month"]))
print(found)

# %%
# The bank keeps other records: how a customer was reached was not noted in 2008, and nobody had been called before.
# That tells single rows apart with certainty, and hides the rest.
#
# Without records
# ---------------
# What is left when these columns are left out says more of the customers and of the calls.

records = ["day", "month", "contact", "pdays", "previous", "poutcome"]
display = ComparisonDisplay.from_tables(first.drop(columns=records), second.drop(columns=records))
print(display.comparison)

# %%
# More of those who are called say yes, among calls that last as long; and they are called with other patience. What
# the customers are, their jobs, age and schooling, is not to blame: where these differ at all, it follows from the
# rest, or is chance. Each line under a column says where the difference is, and the picture shows it.
