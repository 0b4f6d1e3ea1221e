"""What differs between two years' customers: the tables of compare.md."""

import numpy as np
import pandas as pd

from treeflows import ComparisonDisplay


def customers(n, seed, older=0.3):
    """Rows of a year in which so many of those from 40 on buy online."""
    rng = np.random.default_rng(seed)
    age = rng.integers(18, 80, n)
    online = rng.random(n) < np.where(age < 40, 0.8, older)
    lives = np.where(rng.random(n) < 0.4, "city", "country")
    spent = np.round(np.exp(3 + 0.5 * online + 0.01 * age + rng.normal(0, 0.4, n)), 2)
    return pd.DataFrame({"age": age, "lives": lives, "buys": np.where(online, "online", "shop"), "spent": spent})


ComparisonDisplay.from_tables(customers(2000, 0), customers(1500, 1, older=0.6))
