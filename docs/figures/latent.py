"""Groups of the slides of Landis and Koch, with bootstrap intervals."""

import pandas as pd

from treeflows import AutoregressiveTreeFlow, GroupsDisplay

counted = (
    "0000000 34 0000100 2 0100000 6 0100001 1 0100100 4 0100101 5 1000000 2 1010101 1 1100000 2 1100001 1 1100100 2 "
    "1100101 7 1100111 1 1101001 1 1101101 2 1101111 3 1110101 13 1110111 5 1111101 10 1111111 16"
)
told = counted.split()
slides = pd.DataFrame([list(row) for row in told[::2]], columns=list("ABCDEFG")).replace({"0": "no", "1": "yes"})
count = [int(n) for n in told[1::2]]
model = AutoregressiveTreeFlow(random_state=0).fit(slides, sample_weight=count)
groups = model.find_groups(slides, range(1, 5), n_bootstrap=1000, sample_weight=count)
GroupsDisplay(groups).plot()
