"""Seconds of a tree flow of tables of up to a thousand million rows, as docs/large.md has them."""

import matplotlib.pyplot as plt
import numpy as np

rows = 10 ** np.arange(6, 10)
clock, work = np.array([0.1, 0.5, 3.7, 42.5]), np.array([0.1, 0.8, 6.5, 68.4])  # python -m benchmarks.large

figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6), layout="constrained")
for seconds, name, marker in ((work, "work of both cores", "s-"), (clock, "by the clock", "o-")):
    left.loglog(rows, seconds, marker, label=name)
    right.semilogx(rows, seconds / rows * 1e9, marker, label=name)
left.loglog(rows, work[-1] * rows / rows[-1], ":", color="gray", label="linear")
left.set(xlabel="rows (16 binary columns)", ylabel="seconds")
left.legend()
right.set(xlabel="rows (16 binary columns)", ylabel="nanoseconds a row", ylim=(0, 110))
right.legend()
