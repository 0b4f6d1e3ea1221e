# The best split of a node, from its table.

from libc.math cimport isfinite, llrint
from libc.stdint cimport INT64_MIN, int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memmove, memset

from _ext.arena cimport Arena, Mark, arena_mark, arena_release, arena_take
from _ext.kernels cimport OBJECTIVE_BITS
from _ext.node_counts cimport Domain, Node
from _ext.rules cimport Rules, draw_of_column, splits
from _ext.stopping cimport Watch, look


# Counts whose cost was no number.
ctypedef struct Failure:
    int32_t n_categories  # 0 for none
    int64_t counts[256]


cdef inline int64_t choose(const Domain *domain, const Rules *rules, Node *node, Arena *arena, Watch *watch,
                           Failure *failure) noexcept nogil:
    """Find the best split, -1 for none; returns the number of splits to choose among, -1 if memory or a cost failed."""
    cdef Mark mark = arena_mark(arena)
    cdef int64_t *scores = <int64_t *> arena_take(arena, domain.width * sizeof(int64_t))
    cdef int64_t j, n = 0
    cdef int32_t column, best = -1
    cdef uint64_t limit = 0
    node.split = -1
    if scores == NULL:
        return -1
    if rules.objective == NULL:
        domain.training.kernels.candidate_scores(node.table, domain.width, domain.width, node.counts, domain.n_targets,
                                                 node.n, rules.min_samples_leaf, &rules.costs, scores)
    elif objective_scores(domain, rules, node, scores, watch, failure) < 0:
        return -1
    for j in range(domain.n_ranges):
        # of equal sums the first is asked: that whose last part is not empty
        if node.table[(domain.n_targets - 1) * domain.width + domain.run_end[j] - 1] == 0:
            scores[domain.first_range + j] = INT64_MIN
    if rules.max_features > 0 and draw_columns(domain, rules, node, scores, &limit, arena) < 0:
        return -1
    for j in range(domain.width):
        column = domain.asked[j].column
        if scores[j] == INT64_MIN or column < 0:
            continue
        if rules.max_features > 0 and draw_of_column(node.path, domain.training.numbers[column]) > limit:
            continue
        n += 1
        # among equals the first in the order of columns, which is not that of the cells
        if node.split < 0 or scores[j] > scores[node.split] or (
                scores[j] == scores[node.split] and domain.training.place[column] < domain.training.place[best]):
            node.split, best = j, column
    arena_release(arena, mark)
    return n


cdef inline int objective_scores(const Domain *domain, const Rules *rules, const Node *node, int64_t *scores,
                                 Watch *watch, Failure *failure) noexcept nogil:
    """Like the kernel `candidate_scores`, by the user's objective; -1 if a cost is no number or growth is to stop."""
    cdef int64_t left[256]
    cdef int64_t right[256]
    cdef int64_t j
    cdef int32_t v, last = domain.n_targets - 1, n_left, k = domain.training.n_categories[domain.target]
    cdef const int32_t *row
    cdef double whole, cost
    memset(left, 0, k * sizeof(int64_t))
    memset(right, 0, k * sizeof(int64_t))
    for v in range(domain.n_targets):
        left[domain.targets[v]] = node.counts[v]
    whole = objective_cost(rules, left, k, node.n, failure)
    cdef double scale = 2.0**OBJECTIVE_BITS / (abs(whole) if whole != 0 else 1.0)
    for j in range(domain.width):
        scores[j] = INT64_MIN
        n_left = node.table[last * domain.width + j]
        if domain.asked[j].column < 0 or not splits(rules, n_left, node.n):
            continue
        if watch.is_caller:
            look(watch)
        if watch.stop.now:
            return -1
        left[domain.targets[last]] = n_left
        for v in range(last):
            row = node.table + v * domain.width
            left[domain.targets[v]] = row[j]
            left[domain.targets[last]] -= row[j]
        for v in range(domain.n_targets):
            right[domain.targets[v]] = node.counts[v] - left[domain.targets[v]]
        cost = objective_cost(rules, left, k, n_left, failure)
        cost = cost + objective_cost(rules, right, k, node.n - n_left, failure)
        scores[j] = llrint(max(-9e18, min(9e18, -cost * scale)))
    return -1 if failure.n_categories else 0


cdef inline double objective_cost(const Rules *rules, const int64_t *counts, int32_t k, int64_t n,
                                  Failure *failure) noexcept nogil:
    cdef double cost = rules.objective(counts, k, n)
    if not isfinite(cost):
        memcpy(failure.counts, counts, k * sizeof(int64_t))
        failure.n_categories = k
        return 0.0
    return cost


cdef inline int draw_columns(const Domain *domain, const Rules *rules, const Node *node, const int64_t *scores,
                             uint64_t *limit, Arena *arena) noexcept nogil:
    """Draw max_features of the columns that have a split: those whose draw is at most the limit."""
    cdef int32_t most = rules.max_features, n = 0, i, column = -1
    cdef int64_t j
    cdef uint64_t key
    cdef Mark mark = arena_mark(arena)
    cdef uint64_t *lowest = <uint64_t *> arena_take(arena, (most + 1) * sizeof(uint64_t))
    if lowest == NULL:
        return -1
    for j in range(domain.width):
        if scores[j] == INT64_MIN or domain.asked[j].column < 0 or domain.asked[j].column == column:
            continue
        column = domain.asked[j].column
        key = draw_of_column(node.path, domain.training.numbers[column])
        i = n
        while i > 0 and lowest[i - 1] > key:
            i -= 1
        if i > 0 and lowest[i - 1] == key:
            continue  # its other questions have been seen
        n = min(n + 1, most)
        if i < n:
            memmove(lowest + i + 1, lowest + i, (n - 1 - i) * sizeof(uint64_t))
            lowest[i] = key
    limit[0] = lowest[n - 1] if n > 0 else 0
    arena_release(arena, mark)
    return 0
