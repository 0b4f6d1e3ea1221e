"""EM of latent class models in plain loops: what the compiled one is held to."""

import math


def log_likelihood(rows, weight, classes, prob):
    """Of rows, lists of codes with None where not observed; ``prob[c][j][v]`` of each value in each class."""
    return sum(w * math.log(sum(joint(row, classes, prob))) for row, w in zip(rows, weight, strict=True))


def joint(row, classes, prob):
    """Probability of a row and each class together."""
    told = []
    for share, of in zip(classes, prob, strict=True):
        for j, value in enumerate(row):
            if value is not None:
                share *= of[j][value]
        told.append(share)
    return told


def step(rows, weight, classes, prob):
    """One step of EM: the shares of the classes, and the distributions of the columns in them."""
    expected = [0.0] * len(classes)
    counts = [[[0.0] * len(of) for of in each] for each in prob]
    for row, w in zip(rows, weight, strict=True):
        told = joint(row, classes, prob)
        for c, p in enumerate(told):
            expected[c] += w * p / sum(told)
            for j, value in enumerate(row):
                if value is not None:
                    counts[c][j][value] += w * p / sum(told)
    return [n / sum(weight) for n in expected], [[[n / sum(of) for n in of] for of in each] for each in counts]
