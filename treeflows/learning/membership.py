"""Which latent class a row is in, by what else is known of it: the second of two steps.

The classes are learned without it, and stay as they are; a multinomial logistic regression of the hidden class is then
fitted by maximum likelihood, in which a row counts for all classes that it may be of: two-step estimation (Bakk, Kuha,
Psychometrika 83, 2018). That is not biased by who is put into which class, and what the classes are does not depend on
what else is looked at.
"""

import numpy as np

from ..machine.log_sums import logsumexp, softmax

TOLERANCE = 1e-10  # nats per row that a step must gain
MOST_STEPS = 200
SHORTEST = 2.0**-20  # of a Newton step, that is tried


def log_shares(design, effects):
    """Log-probability of the classes: ndarray of shape (n_rows, n_classes), float64.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_terms), float64
    effects : ndarray of shape (n_classes, n_terms), float64
        Log-odds of each class against the first, whose are zero, by each term.
    """
    # sums of NumPy's own, whose order does not depend on a library's threads
    logits = np.column_stack([(design * of).sum(axis=1) for of in effects])
    return logits - logsumexp(logits)[:, None]


def learn_effects(design, log_likelihood, weight, start=None):
    """The likeliest effects of terms on the hidden class.

    Newton's method, by the information of what is observed; where that is not positive, by that of rows whose classes
    are known, which is a step of EM.

    Parameters
    ----------
    design : ndarray of shape (n_rows, n_terms), float64
        The first term is one.
    log_likelihood : ndarray of shape (n_rows, n_classes), float64
        Of each row in each class, nats.
    weight : ndarray of shape (n_rows,), float64
        Rows that each row stands for.
    start : ndarray of shape (n_classes, n_terms), float64, default=None
        Effects to start from; None for zero.

    Returns
    -------
    effects : ndarray of shape (n_classes, n_terms), float64
        As `log_shares` takes them.
    score : float
        Log-likelihood of all rows, nats.
    """
    scale = np.sqrt((weight[:, None] * design**2).sum(axis=0) / weight.sum())
    scale[scale == 0] = 1.0
    z, n_classes = design / scale, log_likelihood.shape[1]
    effects = np.zeros((n_classes, z.shape[1])) if start is None else start * scale

    def told(effects):
        log_share = log_shares(z, effects)
        return float((weight * logsumexp(log_share + log_likelihood)).sum()), log_share

    score, log_share = told(effects)
    for _ in range(MOST_STEPS if n_classes > 1 else 0):
        share, posterior = softmax(log_share)[:, 1:], softmax(log_share + log_likelihood)[:, 1:]
        slope = (weight[:, None, None] * (posterior - share)[:, :, None] * z[:, None, :]).sum(axis=0)
        known = _information(z, share, weight)
        observed = known - _information(z, posterior, weight)
        if np.linalg.eigvalsh(observed)[0] > 0:
            step = np.linalg.solve(observed, slope.ravel())
        else:  # the least of all steps that solve it, where terms say the same
            step = np.linalg.lstsq(known, slope.ravel())[0]
        length, before = 1.0, score
        while length > SHORTEST:
            ahead = effects.copy()
            ahead[1:] += length * step.reshape(slope.shape)
            found, log_found = told(ahead)
            if found > score:
                effects, score, log_share = ahead, found, log_found
                break
            length /= 2
        if score - before < TOLERANCE * weight.sum():
            break
    return effects / scale, score


def _information(z, share, weight):
    """What rows tell of the effects, whose classes but the first have these shares: (n_effects, n_effects)."""
    n_classes = share.shape[1]
    spread = -share[:, :, None] * share[:, None, :]
    each = np.arange(n_classes)
    spread[:, each, each] += share
    n = n_classes * z.shape[1]
    found = np.empty((n_classes, z.shape[1], n_classes, z.shape[1]))
    for a in range(n_classes):
        for b in range(n_classes):
            told = (weight * spread[:, a, b])[:, None] * z
            for t in range(z.shape[1]):
                found[a, :, b, t] = (told * z[:, t : t + 1]).sum(axis=0)
    return found.reshape(n, n)
