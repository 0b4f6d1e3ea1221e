"""Bayesian averaging over all prunings of grown trees, in closed form.

At a node of target counts c, E is the evidence as a leaf, the Dirichlet-multinomial likelihood of c with concentration
a per category; W = (1 - p) E + p W_left W_right, W = E at a leaf, is the evidence of the subtree under the prior
probability p of splitting (context tree weighting: Willems, Shtarkov, Tjalkens, IEEE Trans. Inf. Theory 41, 1995). The
posterior probability of stopping at a node that the pruned tree reaches is (1 - p) E / W, so the predictive
distribution of a leaf is a mixture of the Dirichlet means (c + a) / (n + K a) on the path to it.
"""

import numpy as np

from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t

from . import elementary

cdef extern from "elementary.h" nogil:
    double exp "tf_exp"(double)
    double log "tf_log"(double)
    double log1p "tf_log1p"(double)

cdef enum:
    PARALLEL_WORK = 4096  # nodes below which waking threads costs more than it saves

cpdef enum:
    DROPPED = 0
    LEAF = 1
    INNER = 2


ctypedef struct Tree:
    int64_t n_nodes
    int32_t n_categories
    const int32_t *left
    const int32_t *candidates
    const int32_t *counts         # [n_nodes, n_categories]


ctypedef struct Prior:
    const double *log_split       # log p and log(1 - p) for each number of candidates
    int64_t n_concentrations
    int64_t n_tabled
    const double *concentrations  # [n_concentrations]
    const double *rising          # [n_concentrations, 2, n_tabled]


def add_counts(const int64_t[::1] first_node, const int32_t[::1] left, const int32_t[::1] n_categories,
               const int32_t[::1] at_leaves, int32_t[::1] counts):
    """Count more rows in every node of every tree.

    Parameters
    ----------
    first_node, left
        Trees as `grow_trees` gives them.
    n_categories : ndarray of shape (n_trees,), int32
        Of each tree's target.
    at_leaves : ndarray of shape (sum of n_leaves * n_categories,), int32
        Rows of each category of the target that come to each leaf, leaf after leaf.
    counts : ndarray of shape (sum of n_nodes * n_categories,), int32
        To be added to, in place.
    """
    cdef int64_t t, i, n_nodes, at_count = 0, at_leaf = 0
    cdef int32_t v, k
    cdef int32_t *node
    cdef const int32_t *below
    with nogil:
        for t in range(n_categories.shape[0]):
            n_nodes, k = first_node[t + 1] - first_node[t], n_categories[t]
            node = &counts[at_count]
            for i in range(n_nodes):
                if left[first_node[t] + i] == 0:
                    for v in range(k):
                        node[i * k + v] += at_leaves[at_leaf + v]
                    at_leaf += k
            for i in range(n_nodes - 1, -1, -1):  # children come after their parent
                if left[first_node[t] + i] != 0:
                    below = node + <int64_t> left[first_node[t] + i] * k
                    for v in range(k):
                        node[i * k + v] = below[v] + below[k + v]
            at_count += n_nodes * k


def average_prunings(const int64_t[::1] first_node, const int32_t[::1] left, const int32_t[::1] candidates,
                     const int32_t[::1] counts, const int32_t[::1] n_categories, const double[:, ::1] concentrations,
                     const double[:, :, :, ::1] rising, const int32_t[::1] grid, double prior_split, double most_split,
                     double negligible, int n_threads=1):
    """Evidence of every tree, and the predictive distributions of its leaves.

    Parameters
    ----------
    first_node, left, candidates, counts
        Trees as `grow_trees` gives them.
    n_categories : ndarray of shape (n_trees,), int32
        Of each tree's target.
    concentrations : ndarray of shape (n_grids, n_concentrations), float64
        The concentrations to choose from, for each number of categories that occurs.
    rising : ndarray of shape (n_grids, n_concentrations, 2, n_tabled), float64
        log Gamma(c + b) - log Gamma(b) for c = 0, 1, ..., with b the concentration, and the number of categories times
        the concentration.
    grid : ndarray of shape (n_trees,), int32
        Which of the grids is each tree's.
    prior_split, most_split : float
        The prior probability of splitting is ``min(most_split, prior_split / (1 + candidates))``.
    negligible : float
        Posterior probability of what lies below a node, under which it is not kept.
    n_threads : int

    Returns
    -------
    evidence : ndarray of shape (n_trees,), float64
        Log-evidence of each tree under the concentration that makes it largest, nats.
    chosen : ndarray of shape (n_trees,), int32
        Which concentration that is.
    kind : ndarray of shape (n_nodes,), uint8
        `INNER`, `LEAF`, or `DROPPED`: below a node that is reached but hardly ever passed, nothing is kept.
    prob : ndarray of shape (sum of n_leaves * n_categories,), float64
        Predictive distribution of each leaf that is kept, tree after tree, in the order of the nodes.
    split : ndarray of shape (n_nodes,), float32
        Posterior probability that the pruned tree splits each node, which it must reach for it; 0 unless `INNER`.
    """
    cdef int64_t n_trees = n_categories.shape[0], n_nodes = first_node[n_trees], t, longest = np.diff(first_node).max()
    leaves = np.add.reduceat(np.equal(left, 0), first_node[:n_trees], dtype=np.int64) * n_categories
    cdef int64_t[::1] first_prob = np.concatenate(([0], np.cumsum(leaves)))
    cdef int64_t[::1] first_count = np.concatenate(([0], np.cumsum(np.diff(first_node) * n_categories)))
    evidence, chosen, prob = np.empty(n_trees), np.empty(n_trees, dtype=np.int32), np.empty(first_prob[n_trees])
    kind, posterior = np.empty(n_nodes, dtype=np.uint8), np.zeros(n_nodes, dtype=np.float32)
    cdef uint8_t[::1] kind_of = kind
    cdef float[::1] split_of = posterior
    cdef double[::1] evidence_of = evidence, prob_of = prob
    cdef int32_t[::1] chosen_of = chosen
    cdef double[:, ::1] scratch = np.empty((n_threads, 2 * concentrations.shape[1] * longest))
    cdef double[:, ::1] above = np.empty((n_threads, np.max(np.diff(first_node) * (1 + np.asarray(n_categories)))))
    prior = np.minimum(most_split, prior_split / (1 + np.arange(1 + np.max(candidates))))
    cdef double[:, ::1] log_split = np.column_stack([elementary.log(prior), elementary.log1p(-prior)])
    for t in prange(n_trees, nogil=True, schedule="dynamic", num_threads=n_threads,
                    use_threads_if=n_nodes > PARALLEL_WORK):
        chosen_of[t] = average_tree(
            Tree(first_node[t + 1] - first_node[t], n_categories[t], &left[first_node[t]], &candidates[first_node[t]],
                 &counts[first_count[t]]),
            Prior(&log_split[0, 0], concentrations.shape[1], rising.shape[3], &concentrations[grid[t], 0],
                  &rising[grid[t], 0, 0, 0]),
            negligible, &scratch[threadid(), 0], &above[threadid(), 0], &evidence_of[t], &kind_of[first_node[t]],
            &prob_of[first_prob[t]], &split_of[first_node[t]])
    values = np.repeat(n_categories, np.diff(first_node))
    n_kept = np.add.reduceat(np.where(kind == LEAF, values, 0), first_node[:n_trees])
    # memory that no leaf was written to is not touched
    kept = [prob[start:start + n] for start, n in zip(np.asarray(first_prob)[:n_trees], n_kept, strict=True)]
    return evidence, chosen, kind, np.concatenate(kept), posterior


cdef int32_t average_tree(Tree tree, Prior prior, double negligible, double *scratch, double *above, double *evidence,
                          uint8_t *kind, double *prob, float *split) noexcept nogil:
    """Returns the concentration of highest evidence."""
    cdef int64_t n = prior.n_concentrations, i, g, best = 0
    cdef double log_split, log_stop, stop, go_on
    cdef double *w         # log W of the node under each concentration
    cdef double *stopping  # the posterior probability of stopping there
    cdef const double *w_left
    for i in range(tree.n_nodes - 1, -1, -1):
        w, stopping = scratch + 2 * n * i, scratch + 2 * n * i + n
        leaf_evidence(&tree, &prior, i, w)
        if tree.left[i] == 0:
            continue
        w_left = scratch + 2 * n * tree.left[i]
        log_split, log_stop = prior.log_split[2 * tree.candidates[i]], prior.log_split[2 * tree.candidates[i] + 1]
        for g in range(n):
            stop = log_stop + w[g]
            go_on = log_split + w_left[g] + w_left[2 * n + g]
            w[g] = log_sum(stop, go_on)
            stopping[g] = stop - w[g]
    for g in range(1, n):
        if scratch[g] > scratch[best]:
            best = g
    evidence[0] = scratch[best]
    mix(&tree, negligible, prior.concentrations[best], scratch + n + best, 2 * n, above, kind, prob, split)
    return best


cdef inline double log_sum(double x, double y) noexcept nogil:
    """log(exp(x) + exp(y)); beyond 40 nats the smaller is below the rounding of the larger."""
    cdef double least = min(x, y), most = max(x, y)
    return most if most - least > 40.0 else most + log1p(exp(least - most))


cdef inline void leaf_evidence(const Tree *tree, const Prior *prior, int64_t node, double *out) noexcept nogil:
    """Log-evidence of a node as a leaf under every concentration."""
    cdef const int32_t *counts = tree.counts + node * tree.n_categories
    cdef const double *table
    cdef int32_t some[256]  # counts above 0
    cdef int64_t g, n = 0
    cdef int32_t v, n_some = 0
    cdef double sum, a
    for v in range(tree.n_categories):
        n += counts[v]
        some[n_some] = counts[v]
        n_some += counts[v] > 0
    for g in range(prior.n_concentrations):
        table, a = prior.rising + 2 * g * prior.n_tabled, prior.concentrations[g]
        sum = -log_rising(table + prior.n_tabled, prior.n_tabled, n, tree.n_categories * a)
        for v in range(n_some):
            sum = sum + log_rising(table, prior.n_tabled, some[v], a)
        out[g] = sum


cdef inline double log_rising(const double *table, int64_t n_tabled, int64_t n, double b) noexcept nogil:
    """log Gamma(n + b) - log Gamma(b): tabled where n is small, by Stirling's series above."""
    cdef int64_t last = n_tabled - 1
    if n < n_tabled:
        return table[n]
    return table[last] + log_gamma(n + b) - log_gamma(last + b)


cdef inline double log_gamma(double x) noexcept nogil:
    """Stirling's series without its constant; the next term is below 1e-13 for x > 30."""
    cdef double r = 1.0 / (x * x)
    return (x - 0.5) * log(x) - x + (1.0 / 12 - r * (1.0 / 360 - r * (1.0 / 1260 - r / 1680))) / x


cdef inline void mix(const Tree *tree, double negligible, double a, const double *log_stopping, int64_t stride,
                     double *above, uint8_t *kind, double *out, float *split) noexcept nogil:
    """Predictive distributions of the leaves: mixtures of the Dirichlet means on the path to each, from above.

    The part of a node's mixture that lies above it, and the posterior probability of reaching the node, are kept in
    `above`: [n_nodes, 1 + n_categories]; the latter is below 0 where nothing is kept.
    """
    cdef int64_t i, k = tree.n_categories
    cdef int32_t v
    cdef const int32_t *counts = tree.counts
    cdef double *reach = above
    cdef double *below
    cdef double n, stop, passing
    above[0] = 1.0
    for v in range(k):
        above[1 + v] = 0.0
    for i in range(tree.n_nodes):
        below = above + tree.left[i] * (1 + k)
        if reach[0] < 0.0:
            kind[i] = DROPPED
            if tree.left[i] != 0:
                below[0] = below[1 + k] = -1.0
        else:
            stop, n = reach[0], k * a
            if tree.left[i] != 0:
                stop = stop * exp(log_stopping[i * stride])
            passing = reach[0] - stop
            if passing <= negligible:
                stop = reach[0]
            for v in range(k):
                n = n + counts[v]
            for v in range(k):
                reach[1 + v] = reach[1 + v] + stop * ((counts[v] + a) / n)
            if passing <= negligible:
                kind[i] = LEAF
                for v in range(k):
                    out[v] = reach[1 + v]
                out += k
                if tree.left[i] != 0:
                    below[0] = below[1 + k] = -1.0
            else:
                kind[i] = INNER
                split[i] = <float> passing
                below[0] = below[1 + k] = passing
                for v in range(k):
                    below[1 + v] = below[2 + k + v] = reach[1 + v]
        counts += k
        reach += 1 + k
