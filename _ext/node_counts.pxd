# The rows of a subtree are its domain. Columns of few codes lie in bit planes, compressed to its rows, and are counted
# by popcount; columns of many, and everything with a target of many, are counted row by row. A node's table has a row
# for each category of the target that occurs in the domain, but for the last, which counts all rows; and a cell for
# each question: "= v" of the planes, "= v" of the columns counted row by row, then "<= v", the sums over runs of the
# others. It is linear in the rows: the table of one child, subtracted from its parent's, leaves that of the other. A
# child of so few rows that most cells of such a table were zero is taken from its parent's row by row, and gets a
# domain of its own, of the codes and targets that occur in it.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from _ext.arena cimport Arena, Mark, arena_mark, arena_release, arena_take
from _ext.asked cimport Question, equality, goes_left, n_equalities, n_ranges, up_to
from _ext.kernels cimport TF_LANES, tf_kernels
from _ext.rules cimport Rules, splits

cdef enum:
    SPARSE = 4  # cells that are looked at in the time of one code of one row


# The training rows, the same for all trees.
ctypedef struct Training:
    const tf_kernels *kernels
    int64_t n_rows
    int64_t n_columns
    const int32_t *n_categories
    const int32_t *n_ordered       # codes that are in order, the first of each column
    const int32_t *order
    const int32_t *place           # of each column in the order
    const int32_t *numbers         # of each column, by which it is drawn
    const uint8_t *rows            # [n_rows, n_columns]
    const uint8_t *codes           # [n_columns, n_rows], where any column is counted row by row
    const int32_t *weight          # rows that each stands for; NULL for one
    const int32_t *which           # numbers in `rows` of the rows to learn from; NULL for each once
    const uint64_t *words          # planes of the other columns, word by word, and the binary digits of the weights
    int64_t stride
    int64_t n_words
    const int32_t *first_plane     # per column; -1 where it has none
    const int32_t *n_planes        # per place of the order: planes of the columns before it
    const Question *asked          # by each plane
    int32_t n_digits               # planes of the weights; 0 for none
    int32_t first_digit


ctypedef struct Domain:
    const Training *training
    int32_t target
    int64_t n_rows
    const uint64_t *words
    int64_t stride
    int64_t n_words
    int32_t n_planes               # the first cells of tables
    int32_t n_coded                # columns counted row by row
    const int32_t *coded           # which
    const int32_t *first_coded     # where the cells of each start; one more at the end
    const uint8_t *cell_of_code    # [n_coded, 256], counted from there; 0 for codes of no rows
    int32_t n_ranges               # cells that are sums over runs of others
    int32_t first_range            # where they start
    const int32_t *run             # first cell of each
    const int32_t *run_end         # the cell after its last
    int64_t width                  # cells of a table's row
    const Question *asked          # by each cell
    int32_t n_targets              # categories of the target that occur
    const int32_t *targets         # which
    const int32_t *target_planes   # where in `words`, of all but the last
    int32_t first_digit            # of the weights in `words`


ctypedef struct Node:
    int64_t id
    uint64_t path
    int32_t depth
    int32_t n                      # rows, by their weights
    int32_t n_rows                 # rows that are there
    int32_t *counts                # of the domain's targets
    int32_t *table                 # [n_targets, width]
    uint64_t *mask                 # of the domain's rows
    int32_t *rows                  # numbers of the rows, where any column is counted row by row
    int64_t split                  # the best cell, -1 for none


# ---- the first domain ----

cdef inline int first_domain(Domain *domain, const Training *training, int64_t t, const int32_t *all_counts,
                             int32_t *counts, Arena *arena) noexcept nogil:
    """All rows, for the tree of the t-th column; `counts` gets those of the targets. -1 if memory ran out.

    `all_counts` are those of the target's categories: what does not occur has no place in a table.
    """
    cdef int32_t target = training.order[t], k = training.n_categories[target], v, n = 0
    cdef int64_t i, j, r, width, n_ranged = 0
    cdef bint wide = training.first_plane[target] < 0
    cdef int32_t *coded = <int32_t *> arena_take(arena, t * sizeof(int32_t))
    cdef int32_t *first_coded = <int32_t *> arena_take(arena, (t + 1) * sizeof(int32_t))
    cdef uint8_t *cell_of_code
    cdef int32_t *targets = <int32_t *> arena_take(arena, k * sizeof(int32_t))
    cdef int32_t *target_planes = <int32_t *> arena_take(arena, k * sizeof(int32_t))
    if coded == NULL or first_coded == NULL or targets == NULL or target_planes == NULL:
        return -1
    memset(domain, 0, sizeof(Domain))
    domain.training, domain.target, domain.n_rows = training, target, training.n_rows
    domain.words, domain.stride, domain.first_digit = training.words, training.stride, training.first_digit
    domain.n_planes = 0 if wide else training.n_planes[t]
    domain.n_words = training.n_words if domain.n_planes > 0 else 0
    width = padded(domain.n_planes)
    for i in range(t):
        j = training.order[i]
        n_ranged += n_ranges(training.n_categories[j], training.n_ordered[j])
        if training.n_categories[j] > 1 and (wide or training.first_plane[j] < 0):
            coded[domain.n_coded], first_coded[domain.n_coded] = j, width
            width += training.n_categories[j]
            domain.n_coded += 1
    domain.first_range = first_coded[domain.n_coded] = width
    domain.width = padded(width + n_ranged)
    cell_of_code = <uint8_t *> arena_take(arena, domain.n_coded * 256)
    cdef Question *asked = <Question *> arena_take(arena, domain.width * sizeof(Question))
    cdef int32_t *run = <int32_t *> arena_take(arena, n_ranged * sizeof(int32_t))
    cdef int32_t *run_end = <int32_t *> arena_take(arena, n_ranged * sizeof(int32_t))
    if cell_of_code == NULL or asked == NULL or run == NULL or run_end == NULL:
        return -1
    for i in range(domain.width):
        asked[i] = Question(-1, 0, 0)
    memcpy(asked, training.asked, domain.n_planes * sizeof(Question))
    for i in range(domain.n_coded):
        for v in range(training.n_categories[coded[i]]):
            # a cell that is asked nothing tells its code too
            asked[first_coded[i] + v] = equality(
                coded[i] if v < n_equalities(training.n_categories[coded[i]]) else -1, v)
            cell_of_code[256 * i + v] = <uint8_t> v
    width = 0
    for i in range(t):
        j = training.order[i]
        if training.n_categories[j] > 1 and (wide or training.first_plane[j] < 0):
            v, width = first_coded[width], width + 1
        else:
            v = training.first_plane[j]
        for r in range(n_ranges(training.n_categories[j], training.n_ordered[j])):
            run[domain.n_ranges], run_end[domain.n_ranges] = v, v + r + 2
            asked[domain.first_range + domain.n_ranges] = up_to(j, r)
            domain.n_ranges += 1

    for v in range(k):
        if all_counts[v] > 0:
            targets[n], target_planes[n], counts[n] = v, training.first_plane[target] + v, all_counts[v]
            n += 1
    domain.n_targets, domain.targets, domain.target_planes = n, targets, target_planes
    domain.coded, domain.first_coded, domain.run, domain.run_end = coded, first_coded, run, run_end
    domain.cell_of_code, domain.asked = cell_of_code, asked
    return 0


cdef inline void count_target(const Training *training, int32_t target, int32_t *counts) noexcept nogil:
    """All rows of each category of a column."""
    cdef int32_t first = training.first_plane[target], k = training.n_categories[target], v, digit
    cdef const uint8_t *codes = training.codes + target * training.n_rows
    cdef const uint64_t *word = training.words
    cdef int64_t r, _w
    memset(counts, 0, k * sizeof(int32_t))
    if first < 0:
        for r in range(training.n_rows):
            counts[codes[r]] += 1 if training.weight == NULL else training.weight[r]
        return
    counts[k - 1] = training.n_rows
    if training.weight != NULL:
        counts[k - 1] = 0
        for r in range(training.n_rows):
            counts[k - 1] += training.weight[r]
    for _w in range(training.n_words):
        for v in range(k - 1 if training.n_digits == 0 else 0):
            counts[v] += n_bits(word[first + v])
        for v in range(k - 1 if training.n_digits > 0 else 0):
            for digit in range(training.n_digits):
                counts[v] += n_bits(word[first + v] & word[training.first_digit + digit]) << digit
        word += training.stride
    for v in range(k - 1):
        counts[k - 1] -= counts[v]


cdef inline int all_rows(const Domain *domain, Node *node, Arena *arena) noexcept nogil:
    """Give a node all rows of the first domain; -1 if memory ran out."""
    cdef int32_t v
    node.n_rows, node.rows = domain.n_rows, NULL
    node.mask = <uint64_t *> arena_take(arena, domain.n_words * sizeof(uint64_t))
    if node.mask == NULL:
        return -1
    if domain.n_words > 0:
        fill_mask(node.mask, domain.n_rows)
    if domain.n_coded > 0:
        node.rows = <int32_t *> arena_take(arena, domain.n_rows * sizeof(int32_t))
        if node.rows == NULL:
            return -1
        for v in range(<int32_t> domain.n_rows):
            node.rows[v] = v
    return 0


# ---- counting ----

cdef inline int count_node(const Domain *domain, Node *node, Arena *arena) noexcept nogil:
    """Fill a zeroed table; -1 if memory ran out."""
    cdef Mark mark = arena_mark(arena)
    cdef int32_t v
    if domain.n_planes > 0 and count_planes(domain, node, arena) < 0:
        return -1
    if domain.n_coded > 0 and count_codes(domain, node, arena) < 0:
        return -1
    for v in range(domain.n_targets if domain.n_ranges > 0 else 0):
        sum_runs(domain, node.table + v * domain.width)
    arena_release(arena, mark)
    return 0


cdef inline int count_planes(const Domain *domain, Node *node, Arena *arena) noexcept nogil:
    cdef const Training *training = domain.training
    cdef int64_t w, n = 0, i, v, n_cells
    cdef int32_t digit, last = domain.n_targets - 1
    cdef int32_t *where = <int32_t *> arena_take(arena, domain.n_words * sizeof(int32_t))
    cdef uint64_t *selected = <uint64_t *> arena_take(arena, domain.n_targets * domain.n_words * sizeof(uint64_t))
    cdef uint64_t *mask = <uint64_t *> arena_take(arena, domain.n_words * sizeof(uint64_t))
    cdef int32_t *part
    cdef int32_t *cell
    if where == NULL or selected == NULL or mask == NULL:
        return -1
    for w in range(domain.n_words):
        where[n], mask[n] = w, node.mask[w]
        n += mask[n] != 0
    if training.n_digits == 0:
        select_targets(domain, where, n, mask, selected)
        training.kernels.count_candidates(domain.words, domain.stride, domain.n_planes, where, n, selected,
                                          domain.n_targets, node.table, domain.width)
        return 0
    n_cells = padded(domain.n_planes)
    part = <int32_t *> arena_take(arena, domain.n_targets * n_cells * sizeof(int32_t))
    if part == NULL:
        return -1
    for digit in range(training.n_digits):
        for i in range(n):
            mask[i] = node.mask[where[i]] & domain.words[where[i] * domain.stride + domain.first_digit + digit]
        select_targets(domain, where, n, mask, selected)
        training.kernels.count_candidates(domain.words, domain.stride, domain.n_planes, where, n, selected,
                                          domain.n_targets, part, n_cells)
        for v in range(last + 1):
            cell = node.table + v * domain.width
            for i in range(domain.n_planes):
                cell[i] += part[v * n_cells + i] << digit
    return 0


cdef inline void select_targets(const Domain *domain, const int32_t *where, int64_t n, const uint64_t *mask,
                                uint64_t *selected) noexcept nogil:
    """Of the rows of a mask, those of each target but the last, then all."""
    cdef int64_t i, stride = domain.stride
    cdef int32_t v, last = domain.n_targets - 1
    cdef const uint64_t *plane
    for v in range(last):
        plane = domain.words + domain.target_planes[v]
        for i in range(n):
            selected[v * n + i] = plane[where[i] * stride] & mask[i]
    memcpy(selected + last * n, mask, n * sizeof(uint64_t))


cdef inline int count_codes(const Domain *domain, Node *node, Arena *arena) noexcept nogil:
    cdef const int32_t *first = domain.first_coded
    cdef int32_t *all_rows = node.table + (domain.n_targets - 1) * domain.width
    cdef const int32_t *row = node.table
    cdef int32_t _v, i
    if is_sparse(domain, node.n_rows):
        return add_rows(domain, node, node.table, 1, True, arena)
    if add_rows(domain, node, node.table, 1, False, arena) < 0:
        return -1
    for _v in range(domain.n_targets - 1):
        for i in range(first[0], first[domain.n_coded]):
            all_rows[i] += row[i]
        row += domain.width
    return 0


cdef inline bint is_sparse(const Domain *domain, int64_t n_rows) noexcept nogil:
    """Whether looking at so many rows takes less time than looking at all cells."""
    return SPARSE * n_rows * domain.n_coded < domain.n_targets * domain.width


cdef inline int add_rows(const Domain *domain, const Node *rows, int32_t *table, int32_t sign, bint to_all,
                         Arena *arena) noexcept nogil:
    """Add a node's rows to the cells of columns counted row by row, or take them away; -1 if memory ran out.

    Rows of the last target are counted with all, those of the others with all if `to_all`.
    """
    cdef const Training *training = domain.training
    cdef const uint8_t *codes = training.codes + domain.target * training.n_rows
    cdef const uint8_t *cell_of_code = domain.cell_of_code
    cdef int32_t last = (domain.n_targets - 1) * domain.width, r, v, j
    cdef int32_t row_of[256]
    cdef int32_t *cell
    cdef Mark mark = arena_mark(arena)
    cdef int32_t *start = <int32_t *> arena_take(arena, rows.n_rows * sizeof(int32_t))
    cdef int32_t *amount = <int32_t *> arena_take(arena, rows.n_rows * sizeof(int32_t))
    if start == NULL or amount == NULL:
        return -1
    if training.weight != NULL:
        memset(row_of, 0, sizeof(row_of))  # rows of weight 0 may have other targets
    for v in range(domain.n_targets):
        row_of[domain.targets[v]] = v * domain.width
    for r in range(rows.n_rows):
        start[r] = row_of[codes[rows.rows[r]]]
        amount[r] = sign if training.weight == NULL else sign * training.weight[rows.rows[r]]
    for j in range(domain.n_coded):
        codes = training.codes + domain.coded[j] * training.n_rows
        cell = table + domain.first_coded[j]
        if to_all:
            for r in range(rows.n_rows):
                v = cell_of_code[codes[rows.rows[r]]]
                cell[last + v] += amount[r]
                if start[r] != last:
                    cell[start[r] + v] += amount[r]
        else:
            for r in range(rows.n_rows):
                cell[start[r] + cell_of_code[codes[rows.rows[r]]]] += amount[r]
        cell_of_code += 256
    arena_release(arena, mark)
    return 0


cdef inline int take_away(const Domain *domain, const Node *rows, int32_t *table, Arena *arena) noexcept nogil:
    """Take a node's rows from the table of its parent, whose columns are all counted row by row."""
    cdef int32_t v
    if add_rows(domain, rows, table, -1, True, arena) < 0:
        return -1
    for v in range(domain.n_targets if domain.n_ranges > 0 else 0):
        if rows.counts[v] > 0 or v == domain.n_targets - 1:
            sum_runs(domain, table + v * domain.width)
    return 0


cdef inline void sum_runs(const Domain *domain, int32_t *row) noexcept nogil:
    """The cells of "<= v": runs of one column grow from the first cell on, each by what the one before lacks."""
    cdef int32_t i, j, sum = 0
    for i in range(domain.n_ranges):
        if i == 0 or domain.run[i] != domain.run[i - 1]:
            sum, j = 0, domain.run[i]
        else:
            j = domain.run_end[i - 1]
        while j < domain.run_end[i]:
            sum += row[j]
            j += 1
        row[domain.first_range + i] = sum


cdef inline void left_counts(const Domain *domain, const Node *node, int32_t *counts) noexcept nogil:
    """Rows of each target that the node's split sends left."""
    cdef int32_t v, last = domain.n_targets - 1
    counts[last] = node.table[last * domain.width + node.split]
    for v in range(last):
        counts[v] = node.table[v * domain.width + node.split]
        counts[last] -= counts[v]


cdef inline int32_t *take_table(const Domain *domain, Arena *arena) noexcept nogil:
    """A zeroed table."""
    cdef int64_t n_bytes = domain.n_targets * domain.width * sizeof(int32_t)
    cdef int32_t *table = <int32_t *> arena_take(arena, n_bytes)
    if table != NULL:
        memset(table, 0, n_bytes)
    return table


cdef inline int64_t padded(int64_t width) noexcept nogil:
    return (width + TF_LANES - 1) // TF_LANES * TF_LANES


# ---- moving ----

cdef inline void part(const Domain *domain, const Node *node, Node *small, Node *large, bint left_is_small,
                      int32_t *buffer) noexcept nogil:
    """Rows of a node to its children. The smaller gets a mask of its own, the larger the node's."""
    cdef Question asked = domain.asked[node.split]
    cdef const uint8_t *codes = domain.training.codes + asked.column * domain.training.n_rows
    cdef int64_t first = node.split, end = node.split + 1, w, i
    cdef int32_t n_left = 0, n_right = 0, r = 0
    cdef uint64_t left, of_node, rest, bit, flip = 0 if left_is_small else ~(<uint64_t> 0)
    if first >= domain.first_range:
        end, first = domain.run_end[first - domain.first_range], domain.run[first - domain.first_range]
    cdef bint is_plane = first < domain.n_planes and end - first == 1
    cdef int64_t stride = domain.stride
    cdef const uint64_t *words = domain.words + first
    cdef const uint64_t *mask = node.mask
    cdef uint64_t *of_small = small.mask
    cdef uint64_t *of_large = large.mask
    for w in range(domain.n_words):
        of_node = mask[w]
        if is_plane:
            left = words[w * stride] & of_node
        elif first < domain.n_planes:
            left = 0
            for i in range(end - first):
                left |= words[w * stride + i]
            left &= of_node
        else:
            # the rows of the node are those of the mask, in the same order
            left, rest = 0, of_node
            while rest:
                bit = rest & (~rest + 1)
                if goes_left(asked, codes[node.rows[r]]):
                    left |= bit
                rest ^= bit
                r += 1
        of_small[w] = left ^ (of_node & flip)
        of_large[w] = of_node ^ of_small[w]
    small.n_rows = small.n
    if domain.training.weight != NULL:
        small.n_rows = 0
        for w in range(domain.n_words):
            small.n_rows += n_bits(small.mask[w])
    if domain.n_coded > 0:
        for r in range(node.n_rows):
            if goes_left(asked, codes[node.rows[r]]):
                node.rows[n_left] = node.rows[r]
                n_left += 1
            else:
                buffer[n_right] = node.rows[r]
                n_right += 1
        memcpy(node.rows + n_left, buffer, n_right * sizeof(int32_t))
        small.rows, large.rows = node.rows, node.rows + n_left
        if not left_is_small:
            small.rows, large.rows = large.rows, small.rows
        small.n_rows = n_left if left_is_small else n_right
    large.n_rows = node.n_rows - small.n_rows


cdef inline int narrow(const Domain *wide, Domain *domain, Node *node, const int32_t *n_left, const Rules *rules,
                       Arena *arena) noexcept nogil:
    """Give a node a domain of its own: its rows, the questions that can still split it, the targets that occur.

    `n_left` has its rows that answer each question yes. Its table is moved, or counted anew where it has none.
    """
    cdef const Training *training = wide.training
    cdef int32_t v, last = wide.n_targets - 1, n_targets = 0, n = 0, n_moved
    cdef int64_t n_words = (node.n_rows + 63) // 64, i, j, end, width
    cdef bint is_ranged, may
    cdef int32_t *which = <int32_t *> arena_take(
        arena, (wide.n_planes + wide.n_targets + training.n_digits) * sizeof(int32_t))
    cdef int32_t *from_cell = <int32_t *> arena_take(arena, wide.width * sizeof(int32_t))
    cdef int32_t *to_cell = <int32_t *> arena_take(arena, wide.width * sizeof(int32_t))
    cdef Question *asked = <Question *> arena_take(arena, wide.width * sizeof(Question))
    cdef int32_t *targets = <int32_t *> arena_take(arena, wide.n_targets * sizeof(int32_t))
    cdef int32_t *target_planes = <int32_t *> arena_take(arena, wide.n_targets * sizeof(int32_t))
    cdef int32_t *coded = <int32_t *> arena_take(arena, wide.n_coded * sizeof(int32_t))
    cdef int32_t *first_coded = <int32_t *> arena_take(arena, (wide.n_coded + 1) * sizeof(int32_t))
    cdef uint8_t *cell_of_code = <uint8_t *> arena_take(arena, wide.n_coded * 256)
    cdef int32_t *run = <int32_t *> arena_take(arena, wide.n_ranges * sizeof(int32_t))
    cdef int32_t *run_end = <int32_t *> arena_take(arena, wide.n_ranges * sizeof(int32_t))
    cdef int32_t *counts = <int32_t *> arena_take(arena, wide.n_targets * sizeof(int32_t))
    cdef int32_t *row_of = <int32_t *> arena_take(arena, wide.n_targets * sizeof(int32_t))
    cdef uint64_t *words
    cdef uint64_t *mask
    cdef int32_t *table
    if (which == NULL or from_cell == NULL or to_cell == NULL or asked == NULL or targets == NULL
            or target_planes == NULL or coded == NULL or first_coded == NULL or cell_of_code == NULL or run == NULL
            or run_end == NULL or counts == NULL or row_of == NULL):
        return -1
    domain[0] = wide[0]
    domain.n_rows, domain.n_coded, domain.n_ranges = node.n_rows, 0, 0
    for i in range(wide.width if wide.n_ranges > 0 else 0):
        to_cell[i] = -1
    for i in range(wide.n_planes if wide.n_ranges == 0 else 0):
        if splits(rules, n_left[i], node.n):
            which[n] = from_cell[n] = i
            n += 1
    i = 0
    while i < wide.n_planes and wide.n_ranges > 0:
        # of a column in order a sum may split where none of its parts does
        j, end = wide.asked[i].column, i + 1
        while end < wide.n_planes and wide.asked[end].column == j:
            end += 1
        is_ranged = n_ranges(training.n_categories[j], training.n_ordered[j]) > 0
        may = is_ranged and any_splits(rules, n_left + i, end - i, node.n)
        for i in range(i, end):
            if (may and n_left[i] > 0) or (not is_ranged and splits(rules, n_left[i], node.n)):
                which[n], from_cell[n], to_cell[i], n = i, i, n, n + 1
        i = end
    domain.n_planes, width = n, padded(n)
    for i in range(n, width):
        from_cell[i] = -1
    for j in range(wide.n_coded):
        i, end = wide.first_coded[j], wide.first_coded[j + 1]
        if n_ranges(training.n_categories[wide.coded[j]], training.n_ordered[wide.coded[j]]) > 0:
            if not any_splits(rules, n_left + i, end - i, node.n):
                continue
        elif not one_splits(rules, n_left + i, end - i, node.n):
            continue
        coded[domain.n_coded], first_coded[domain.n_coded] = wide.coded[j], width
        memset(cell_of_code + 256 * domain.n_coded, 0, 256)
        for i in range(i, end):
            if n_left[i] > 0:
                cell_of_code[256 * domain.n_coded + wide.asked[i].low] = <uint8_t> (width - first_coded[domain.n_coded])
                from_cell[width], to_cell[i], width = i, width, width + 1
        domain.n_coded += 1
    domain.first_range = first_coded[domain.n_coded] = width
    for i in range(wide.n_ranges):
        # of equal sums the first is asked: that whose last part is not empty
        j, end = wide.first_range + i, wide.run_end[i] - 1
        if n_left[end] == 0 or not splits(rules, n_left[j], node.n):
            continue
        n_moved, v = domain.n_ranges, wide.run[i]
        while to_cell[v] < 0:
            v += 1
        run[n_moved], run_end[n_moved] = to_cell[v], to_cell[end] + 1
        from_cell[width] = j
        width += 1
        domain.n_ranges += 1
    domain.width = padded(width)
    for i in range(width, domain.width):
        from_cell[i] = -1
    for i in range(domain.width):
        asked[i] = wide.asked[from_cell[i]] if from_cell[i] >= 0 else Question(-1, 0, 0)
    for v in range(wide.n_targets):
        if node.counts[v] > 0:
            targets[n_targets], counts[n_targets], row_of[n_targets] = wide.targets[v], node.counts[v], v
            if v < last:
                which[n + n_targets] = wide.target_planes[v]
            target_planes[n_targets] = n + n_targets
            n_targets += 1
    domain.n_targets, domain.targets, domain.target_planes = n_targets, targets, target_planes
    domain.asked, domain.coded, domain.first_coded, domain.cell_of_code = asked, coded, first_coded, cell_of_code
    domain.run, domain.run_end = run, run_end

    table = take_table(domain, arena)
    if table == NULL:
        return -1
    node.counts = counts
    if node.table == NULL:
        node.table = table
        return count_node(domain, node, arena)
    for v in range(n_targets):
        for i in range(domain.width):
            # the last row holds all rows that go left
            if from_cell[i] >= 0:
                table[v * domain.width + i] = node.table[
                    (row_of[v] if v < n_targets - 1 else last) * wide.width + from_cell[i]]
    for i in range(domain.width):
        if from_cell[i] == node.split:
            node.split = i
            break
    node.table = table
    if wide.n_words == 0:
        return 0
    n += n_targets - 1
    domain.first_digit = n
    for v in range(training.n_digits):
        which[n + v] = wide.first_digit + v
    n += training.n_digits
    domain.stride = (n + 7) // 8 * 8
    words = <uint64_t *> arena_take(arena, n_words * domain.stride * sizeof(uint64_t))
    mask = <uint64_t *> arena_take(arena, n_words * sizeof(uint64_t))
    if words == NULL or mask == NULL:
        return -1
    training.kernels.compress_candidates(wide.words, wide.stride, which, n, node.mask, wide.n_words, words,
                                         domain.stride)
    domain.words, domain.n_words, node.mask = words, n_words, mask
    fill_mask(mask, node.n_rows)
    return 0


cdef inline int narrow_rows(const Domain *wide, Domain *domain, Node *node, const Rules *rules,
                            Arena *arena) noexcept nogil:
    """Like `narrow` for a node that has no table, where all columns are counted row by row."""
    cdef int32_t *n_left = <int32_t *> arena_take(arena, wide.width * sizeof(int32_t))
    cdef const Training *training = wide.training
    cdef const uint8_t *codes
    cdef const uint8_t *cell_of_code = wide.cell_of_code
    cdef int32_t *cell
    cdef int32_t j, r
    if n_left == NULL:
        return -1
    memset(n_left, 0, wide.width * sizeof(int32_t))
    for j in range(wide.n_coded):
        codes, cell = training.codes + wide.coded[j] * training.n_rows, n_left + wide.first_coded[j]
        for r in range(node.n_rows):
            cell[cell_of_code[codes[node.rows[r]]]] += 1 if training.weight == NULL else training.weight[node.rows[r]]
        cell_of_code += 256
    sum_runs(wide, n_left)
    node.table = NULL
    return narrow(wide, domain, node, n_left, rules, arena)


cdef inline bint one_splits(const Rules *rules, const int32_t *n_left, int64_t k, int32_t n) noexcept nogil:
    """Whether one of the codes of a column splits n rows from the others."""
    cdef int64_t v
    for v in range(k):
        if splits(rules, n_left[v], n):
            return True
    return False


cdef inline bint any_splits(const Rules *rules, const int32_t *n_left, int64_t k, int32_t n) noexcept nogil:
    """Whether one of the codes of a column, or the first few of them, splits n rows from the others."""
    cdef int64_t v
    cdef int32_t sum = 0
    for v in range(k):
        sum += n_left[v]
        if splits(rules, n_left[v], n) or splits(rules, sum, n):
            return True
    return False


cdef inline void fill_mask(uint64_t *mask, int64_t n_rows) noexcept nogil:
    """The mask of all rows."""
    cdef int64_t w
    for w in range(n_rows // 64):
        mask[w] = ~(<uint64_t> 0)
    if n_rows % 64:
        mask[n_rows // 64] = ((<uint64_t> 1) << (n_rows % 64)) - 1


cdef inline int32_t n_bits(uint64_t x) noexcept nogil:
    """Bits that are set (Warren, Hacker's Delight, 5-1)."""
    x -= (x >> 1) & <uint64_t> 0x5555555555555555
    x = (x & <uint64_t> 0x3333333333333333) + ((x >> 2) & <uint64_t> 0x3333333333333333)
    x = (x + (x >> 4)) & <uint64_t> 0x0F0F0F0F0F0F0F0F
    return <int32_t> ((x * <uint64_t> 0x0101010101010101) >> 56)
