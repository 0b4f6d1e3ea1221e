"""Rows sent through trees, mostly one for each column: their leaves, and what the leaves say of the column's value."""

import numpy as np

cimport cython
from cython.parallel cimport prange, threadid
from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t

cdef enum:
    BLOCK_BYTES = 131072    # rows of a block stay in the second-level cache while they go through all trees
    PARALLEL_WORK = 65536   # rows x columns below which waking threads costs more than it saves
    ABREAST = 8             # rows that go down a tree together
    MOST_DIGITS = 16        # that trees tell of a number


# A node as the loops over rows read it: whether 0 <= x[column] - low <= span, and the nodes of rows whose answer is no,
# and yes. The inner nodes of a tree come first; a leaf asks what every row answers yes, and then itself again.
ctypedef struct Node:
    int32_t column
    uint8_t low
    uint8_t span
    int32_t children[2]


NODE = np.dtype([("column", np.int32), ("low", np.uint8), ("span", np.uint8), ("children", np.int32, 2)], align=True)


cdef class Router:
    """The trees of all columns; where there are more or fewer, only `leaves` and `sum_leaves` can be asked.

    Parameters
    ----------
    order, n_categories : ndarray of shape (n_columns,), int32
        ``order[t]`` is the column of tree t; categories are by column.
    first_node : ndarray of shape (n_columns + 1,), int64
        Where the inner nodes of each tree start, in the order of the trees.
    column : ndarray of shape (n_nodes,), int32
    low, high : ndarray of shape (n_nodes,), uint8
        A node asks whether low <= x[column] <= high.
    children : ndarray of shape (n_nodes, 2), int32
        If so, and if not: an inner node, numbered within the tree, or ``~leaf``.
    first_value : ndarray of shape (n_columns + 1,), int64
        Where the leaves of each tree start among their values: that of category v at leaf l of tree t stands at
        ``first_value[t] + l * n_categories[order[t]] + v``.
    """

    cdef int64_t n_columns
    cdef object owner                    # keeps alive what `nodes` points into
    cdef const Node *nodes
    cdef const int32_t[::1] order, n_categories
    cdef const int64_t[::1] first_node, first_slot, first_value

    @cython.wraparound(True)
    def __init__(self, order, n_categories, first_node, column, low, high, children, first_value):
        n_inner = np.diff(first_node)
        first_slot = 2 * first_node + np.arange(len(first_node))  # a tree has one more leaf than inner nodes
        slot = np.arange(len(column)) + np.repeat(first_slot[:-1] - first_node[:-1], n_inner)
        self.owner = np.zeros(first_slot[-1], dtype=NODE)
        self.owner["span"] = 255
        self.owner["children"] = (np.arange(len(self.owner)) - np.repeat(first_slot[:-1], 2 * n_inner + 1))[:, None]
        self.owner["column"][slot], self.owner["low"][slot], self.owner["span"][slot] = column, low, high - low
        below = np.where(children < 0, np.repeat(n_inner, n_inner)[:, None] + ~children, children)
        self.owner["children"][slot] = below[:, ::-1]
        cdef const uint8_t[::1] packed = self.owner.view(np.uint8)
        self.nodes = <const Node *> &packed[0]
        self.order, self.n_categories, self.n_columns = order, n_categories, len(n_categories)
        self.first_node, self.first_slot, self.first_value = first_node, first_slot, first_value

    def sum_values(self, const uint8_t[:, ::1] rows, const double[::1] values, int n_threads=1, int64_t start=0):
        """Sum over columns of the value of x_j at its leaf, in the order of the trees from ``start`` on.

        ndarray of shape (n_rows,), float64.
        """
        if not 0 <= start < self.n_columns:
            raise IndexError(f"there is no tree {start}")
        result = np.zeros(rows.shape[0])
        cdef double[::1] out = result
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
            self.sum_block(start, &rows[b * size, 0], min(size, n_rows - b * size), &values[0],
                           &leaves[threadid(), 0], &out[b * size])
        return result

    def values(self, const uint8_t[:, ::1] rows, const double[::1] values, int n_threads=1, int64_t start=0):
        """The value of each x_j at its leaf, in the order of the trees from ``start`` on.

        ndarray of shape (n_rows, n_columns - start), float64.
        """
        if not 0 <= start < self.n_columns:
            raise IndexError(f"there is no tree {start}")
        result = np.empty((rows.shape[0], rows.shape[1] - start))
        cdef double[:, ::1] out = result
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
            self.values_block(start, &rows[b * size, 0], min(size, n_rows - b * size), &values[0],
                              &leaves[threadid(), 0], &out[b * size, 0])
        return result

    def add_distributions(self, const uint8_t[:, ::1] rows, const double[::1] values, const uint8_t[::1] asked,
                          double[:, ::1] out, int n_threads=1, int64_t start=0):
        """Add the values of every category at the leaf of each row, in the order of the trees from ``start`` on.

        To ``out``, of shape (n_rows, their categories). Of trees for which ``asked``, (n_columns,), is 1, only that of
        the row's category; where it is 0, nothing.
        """
        if not 0 <= start < self.n_columns:
            raise IndexError(f"there is no tree {start}")
        if out.shape[0] != rows.shape[0] or out.shape[1] != np.take(self.n_categories, self.order[start:]).sum():
            raise ValueError("out does not have a place for each category of each row")
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
            self.distributions_block(start, &rows[b * size, 0], min(size, n_rows - b * size), &values[0],
                                     &asked[0], &leaves[threadid(), 0], &out[b * size, 0], out.shape[1])

    def leaves(self, int64_t t, const uint8_t[:, ::1] rows, int n_threads=1):
        """Leaf of each row in tree t: ndarray of shape (n_rows,), int32."""
        result = np.empty(rows.shape[0], dtype=np.int32)
        cdef int32_t[::1] out = result
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        for b in prange(n_blocks, nogil=True, num_threads=n_threads, use_threads_if=n_rows > PARALLEL_WORK):
            self.find_leaves(t, &rows[b * size, 0], min(size, n_rows - b * size), &out[b * size])
        return result

    def add_digits(self, int64_t first, int bits, int kind, const uint8_t[:, ::1] rows, const double[::1] values,
                   double[:, ::1] out, int n_threads=1):
        """Add the probability that each binary digit is 1, whatever the digits before it are.

        The trees from ``first`` on tell so many digits, each given those before it, and ``kind`` stands for the code of
        the column before them. To ``out``, of shape (n_rows, 2**bits), at 2**t plus the number that t digits make.
        """
        if not 0 <= first <= first + bits <= self.n_columns or bits > MOST_DIGITS or out.shape[1] != 1 << bits:
            raise ValueError(f"there are no {bits} digits from tree {first} on, or no place for them")
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b, r
        cdef int t
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * bits > PARALLEL_WORK):
            for t in range(bits):  # a tree stays in the cache
                for r in range(b * size, min(n_rows, (b + 1) * size)):
                    self.digits_of_row(first, t, <uint8_t> kind, &rows[r, 0], &values[self.first_value[first + t]],
                                       &out[r, 1 << t])

    def count(self, const uint8_t[:, ::1] rows, const int32_t[::1] weight=None, int n_threads=1):
        """How many rows of each category come to each leaf: ndarray of int32, arranged as the values of leaves are.

        ``weight``, (n_rows,), are the rows that each row stands for, of a sum below 2**31; None for one each.
        """
        if weight is not None and weight.shape[0] != rows.shape[0]:
            raise ValueError("each row needs a weight")
        result = np.zeros(self.first_value[self.n_columns], dtype=np.int32)
        cdef int32_t[::1] out = result
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b, t
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        cdef const int32_t *weights = NULL if weight is None else &weight[0]
        # a tree's counts are one thread's; a block stays in the cache while all trees count it
        for b in range(n_blocks):
            for t in prange(self.n_columns, nogil=True, schedule="dynamic", num_threads=n_threads,
                            use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
                self.count_block(t, &rows[b * size, 0], min(size, n_rows - b * size),
                                 NULL if weights == NULL else weights + b * size, &leaves[threadid(), 0],
                                 &out[self.first_value[t]])
        return result

    def sum_leaves(self, int64_t first, int64_t last, const uint8_t[:, ::1] rows, const int32_t[::1] values,
                   int n_threads=1):
        """Sum of the value of each row's leaf over the trees from ``first`` to before ``last``.

        ``values`` holds those of the leaves, tree after tree. ndarray of shape (n_rows,), int64.
        """
        if not 0 <= first <= last < self.first_node.shape[0]:
            raise IndexError(f"there are no trees {first} to {last}")
        result = np.zeros(rows.shape[0], dtype=np.int64)
        cdef int64_t[::1] out = result
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * (last - first) > PARALLEL_WORK):
            self.sum_leaves_block(first, last, &rows[b * size, 0], min(size, n_rows - b * size), &values[0],
                                  &leaves[threadid(), 0], &out[b * size])
        return result

    def look_up(self, const uint8_t[:, ::1] rows, const uint8_t[::1] tables, int n_threads=1):
        """Every value by the table of its leaf: ndarray of shape (n_rows, n_columns), uint8."""
        result = np.empty((rows.shape[0], rows.shape[1]), dtype=np.uint8)
        cdef uint8_t[:, ::1] out = result
        cdef int64_t n_rows = rows.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
            self.look_up_block(&rows[b * size, 0], min(size, n_rows - b * size), &tables[0], &rows[b * size, 0],
                               &leaves[threadid(), 0], &out[b * size, 0])
        return result

    def look_up_in_turn(self, const uint8_t[:, ::1] codes, const uint8_t[::1] tables, int n_threads=1):
        """Like `look_up`, but the rows are known by their results alone: each column's tree sees those before it."""
        result = np.empty((codes.shape[0], codes.shape[1]), dtype=np.uint8)
        cdef uint8_t[:, ::1] out = result
        cdef int64_t n_rows = codes.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
            self.look_up_block(&out[b * size, 0], min(size, n_rows - b * size), &tables[0], &codes[b * size, 0],
                               &leaves[threadid(), 0], &out[b * size, 0])
        return result

    def draw(self, const double[:, ::1] uniform, const double[::1] cumulative, int n_threads=1):
        """Turn uniform draws into values, column after column, by the distribution function of each leaf.

        Parameters
        ----------
        uniform : ndarray of shape (n_rows, n_columns), float64 in [0, 1)
            Draws of the columns in the order of the trees.
        cumulative : ndarray of float64
            Cumulative probabilities within each leaf.
        n_threads : int

        Returns
        -------
        rows : ndarray of shape (n_rows, n_columns), uint8
        """
        result = np.empty((uniform.shape[0], uniform.shape[1]), dtype=np.uint8)
        cdef uint8_t[:, ::1] out = result
        cdef int64_t n_rows = uniform.shape[0], size = self.block_rows(), n_blocks = (n_rows + size - 1) // size, b
        cdef int32_t[:, ::1] leaves = np.empty((n_threads, size), dtype=np.int32)
        for b in prange(n_blocks, nogil=True, schedule="dynamic", num_threads=n_threads,
                        use_threads_if=n_rows * self.n_columns > PARALLEL_WORK):
            self.draw_block(&uniform[b * size, 0], min(size, n_rows - b * size), &cumulative[0],
                            &leaves[threadid(), 0], &out[b * size, 0])
        return result

    cdef int64_t block_rows(self):
        return max(16, BLOCK_BYTES // self.n_columns)

    cdef void sum_block(self, int64_t start, const uint8_t *rows, int64_t n_rows, const double *values,
                        int32_t *leaves, double *out) noexcept nogil:
        cdef int64_t t, r
        cdef int32_t j, k
        cdef const double *of
        for t in range(start, self.n_columns):
            j, of = self.order[t], values + self.first_value[t]
            k = self.n_categories[j]
            self.find_leaves(t, rows, n_rows, leaves)
            for r in range(n_rows):
                out[r] += of[<int64_t> leaves[r] * k + rows[r * self.n_columns + j]]

    cdef void sum_leaves_block(self, int64_t first, int64_t last, const uint8_t *rows, int64_t n_rows,
                               const int32_t *values, int32_t *leaves, int64_t *out) noexcept nogil:
        cdef int64_t t, r
        cdef const int32_t *of
        for t in range(first, last):
            of = values + self.first_node[t] + t  # a tree has one more leaf than inner nodes
            self.find_leaves(t, rows, n_rows, leaves)
            for r in range(n_rows):
                out[r] += of[leaves[r]]

    cdef void values_block(self, int64_t start, const uint8_t *rows, int64_t n_rows, const double *values,
                           int32_t *leaves, double *out) noexcept nogil:
        cdef int64_t t, r, width = self.n_columns - start
        cdef int32_t j, k
        cdef const double *of
        for t in range(start, self.n_columns):
            j, of = self.order[t], values + self.first_value[t]
            k = self.n_categories[j]
            self.find_leaves(t, rows, n_rows, leaves)
            for r in range(n_rows):
                out[r * width + t - start] = of[<int64_t> leaves[r] * k + rows[r * self.n_columns + j]]

    cdef void distributions_block(self, int64_t start, const uint8_t *rows, int64_t n_rows, const double *values,
                                  const uint8_t *asked, int32_t *leaves, double *out, int64_t width) noexcept nogil:
        cdef int64_t t, r, first = 0
        cdef int32_t j, k, v
        cdef const double *of
        for t in range(start, self.n_columns):
            j, of = self.order[t], values + self.first_value[t]
            k = self.n_categories[j]
            if asked[t]:
                self.find_leaves(t, rows, n_rows, leaves)
            if asked[t] > 1:
                for r in range(n_rows):
                    for v in range(k):
                        out[r * width + first + v] += of[<int64_t> leaves[r] * k + v]
            elif asked[t]:
                for r in range(n_rows):
                    v = rows[r * self.n_columns + j]
                    out[r * width + first + v] += of[<int64_t> leaves[r] * k + v]
            first += k

    cdef void count_block(self, int64_t t, const uint8_t *rows, int64_t n_rows, const int32_t *weight,
                          int32_t *leaves, int32_t *out) noexcept nogil:
        cdef int64_t r
        cdef int32_t j = self.order[t], k = self.n_categories[j]
        self.find_leaves(t, rows, n_rows, leaves)
        for r in range(n_rows):
            out[<int64_t> leaves[r] * k + rows[r * self.n_columns + j]] += 1 if weight == NULL else weight[r]

    cdef void look_up_block(self, const uint8_t *rows, int64_t n_rows, const uint8_t *tables, const uint8_t *codes,
                            int32_t *leaves, uint8_t *out) noexcept nogil:
        cdef int64_t t, r
        cdef int32_t j, k
        cdef const uint8_t *of
        for t in range(self.n_columns):
            j, of = self.order[t], tables + self.first_value[t]
            k = self.n_categories[j]
            self.find_leaves(t, rows, n_rows, leaves)
            for r in range(n_rows):
                out[r * self.n_columns + j] = of[<int64_t> leaves[r] * k + codes[r * self.n_columns + j]]

    cdef void draw_block(self, const double *uniform, int64_t n_rows, const double *cumulative, int32_t *leaves,
                         uint8_t *out) noexcept nogil:
        cdef int64_t t, r
        cdef int32_t j, k, v
        cdef double u
        cdef const double *of
        for t in range(self.n_columns):
            j = self.order[t]
            k = self.n_categories[j]
            self.find_leaves(t, out, n_rows, leaves)
            for r in range(n_rows):
                u = uniform[r * self.n_columns + t]
                of = cumulative + self.first_value[t] + <int64_t> leaves[r] * k
                v = 0
                # the last category takes what rounding leaves
                while v < k - 1 and u >= of[v]:
                    v = v + 1
                out[r * self.n_columns + j] = <uint8_t> v

    cdef void digits_of_row(self, int64_t first, int n_before, uint8_t kind, const uint8_t *row, const double *values,
                            double *out) noexcept nogil:
        """What the tree of a digit says, whatever those before it are: where it asks for one, both ways are gone."""
        cdef const Node *nodes = self.nodes + self.first_slot[first + n_before]
        cdef const Node *node
        cdef int32_t n_inner = <int32_t> (self.first_node[first + n_before + 1] - self.first_node[first + n_before])
        cdef int32_t at[MOST_DIGITS + 1]  # where ways part, and the digits on which they do and what these are
        cdef uint32_t fixed[MOST_DIGITS + 1]
        cdef uint32_t number[MOST_DIGITS + 1]
        cdef uint32_t all_digits = (1 << n_before) - 1, digit, free
        cdef int n = 1
        cdef bint zero, one
        cdef double p
        at[0] = fixed[0] = number[0] = 0
        while n > 0:
            node = nodes + at[n - 1]
            if at[n - 1] >= n_inner:
                p = values[2 * (at[n - 1] - n_inner) + 1]
                free = all_digits & ~fixed[n - 1]
                digit = free
                while True:  # all numbers of free digits
                    out[number[n - 1] | digit] += p
                    if digit == 0:
                        break
                    digit = (digit - 1) & free
                n -= 1
            elif node.column < first:
                one = <uint8_t> ((kind if node.column == first - 1 else row[node.column]) - node.low) <= node.span
                at[n - 1] = node.children[one]
            else:
                digit = 1 << (n_before - 1 - (node.column - first))
                zero, one = <uint8_t> (0 - node.low) <= node.span, <uint8_t> (1 - node.low) <= node.span
                if zero == one or fixed[n - 1] & digit:
                    at[n - 1] = node.children[one if number[n - 1] & digit else zero]
                else:
                    at[n - 1] = node.children[zero]
                    fixed[n - 1] |= digit
                    at[n], fixed[n], number[n] = node.children[one], fixed[n - 1], number[n - 1] | digit
                    n += 1

    cdef void find_leaves(self, int64_t t, const uint8_t *rows, int64_t n_rows, int32_t *leaves) noexcept nogil:
        """Leaf of each row in tree t. Rows go down side by side: one alone would wait for memory at every step."""
        cdef const Node *nodes = self.nodes + self.first_slot[t]
        cdef const Node *node
        cdef const uint8_t *row[ABREAST]
        cdef int32_t at[ABREAST]
        cdef int32_t n_inner = <int32_t> (self.first_node[t + 1] - self.first_node[t])
        cdef int64_t r = 0
        cdef int32_t least
        cdef int i
        while r < n_rows:
            for i in range(ABREAST):
                row[i] = rows + min(r + i, n_rows - 1) * self.n_columns
                at[i] = 0
            least = n_inner - 1 if n_inner else 0
            while least < n_inner:
                least = n_inner
                for i in range(ABREAST):
                    node = nodes + at[i]
                    at[i] = node.children[<uint8_t> (row[i][node.column] - node.low) <= node.span]
                    least = min(least, at[i])
            for i in range(<int> min(ABREAST, n_rows - r)):
                leaves[r + i] = at[i] - n_inner
            r += ABREAST
