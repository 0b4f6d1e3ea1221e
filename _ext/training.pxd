# The rows that trees grow from, or a block of them: codes to bit planes.

from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t, uintptr_t

from _ext.asked cimport Question
from _ext.kernels cimport current_kernels
from _ext.node_counts cimport Training


cdef inline list lay_out(Training *training, codes, n_categories, order, n_ordered, weight, n_digits, numbers, which):
    """Room for the planes of rows, still empty; returns what has to stay alive as long as the training is used.

    `numbers` has the number of each column by which it is drawn. `n_digits` are those of the weights. `which` are the
    numbers of the rows, some of them more than once, or None: each is there once.
    """
    import numpy as np

    from treeflows._ext.counting import aligned

    n_columns = codes.shape[1]
    n_rows = len(codes) if which is None else len(which)
    training.kernels = current_kernels()
    n_categories, order = np.ascontiguousarray(n_categories, np.int32), np.ascontiguousarray(order, np.int32)
    weight, numbers = None if weight is None else np.asarray(weight), np.ascontiguousarray(numbers, np.int32)
    k = n_categories[order]
    wide = k > training.kernels.wide
    planes_of = np.where(wide, 0, np.where(k > 2, k, k - 1))
    n_planes = np.concatenate(([0], np.cumsum(planes_of))).astype(np.int32)
    starts, n_all = n_planes[:n_columns], int(n_planes[n_columns])
    first_plane, place = np.empty(n_columns, dtype=np.int32), np.empty(n_columns, dtype=np.int32)
    first_plane[order] = np.where(wide, -1, starts)
    place[order] = np.arange(n_columns)
    # one more than there are: the address of the first of none is asked for
    question = np.dtype([("column", np.int32), ("low", np.uint8), ("high", np.uint8)], align=True)
    asked = np.zeros(n_all + 1, dtype=question)
    asked["column"][:n_all] = np.repeat(order, planes_of)
    asked["low"][:n_all] = asked["high"][:n_all] = np.arange(n_all) - np.repeat(starts, planes_of)
    in_order = np.zeros(n_columns, dtype=np.int32) if n_ordered is None else np.ascontiguousarray(n_ordered, np.int32)
    words = aligned(((n_rows + 63) // 64, (n_all + n_digits + 32) // 32 * 32), np.uint64)
    columns = np.zeros((1, 1), dtype=np.uint8)
    if wide.any():
        columns = np.ascontiguousarray((codes if which is None else codes[which]).T)
    training.n_rows, training.n_columns = n_rows, n_columns
    training.n_words, training.stride = words.shape
    training.n_digits, training.first_digit = n_digits, n_all
    training.n_categories, training.n_ordered = integers(n_categories), integers(in_order)
    training.order, training.place, training.numbers = integers(order), integers(place), integers(numbers)
    training.first_plane, training.n_planes = integers(first_plane), integers(n_planes)
    training.weight = NULL if weight is None else integers(weight)
    training.which = NULL if which is None else integers(which)
    training.rows, training.codes = <uint8_t *> address(codes), <uint8_t *> address(columns)
    training.words, training.asked = <uint64_t *> address(words), <Question *> address(asked)
    return [codes, weight, which, n_categories, order, numbers, first_plane, place, n_planes, asked, in_order, words,
            columns]


cdef inline void *address(array):
    return <void *> <uintptr_t> array.ctypes.data


cdef inline int32_t *integers(array):
    return <int32_t *> address(array)


cdef inline void pack_word(const Training *training, int64_t w) noexcept nogil:
    """Codes of 64 rows to planes, of which the second of two codes has none; then the digits of their weights."""
    cdef int64_t n_rows = min(64, training.n_rows - 64 * w), n_columns = training.n_columns, r, j
    cdef int32_t digit
    cdef uint64_t *words = <uint64_t *> training.words + w * training.stride
    cdef const int32_t *n_categories = training.n_categories
    cdef const int32_t *first_plane = training.first_plane
    cdef const int32_t *weight = training.weight + 64 * w
    cdef const uint8_t *codes
    for r in range(n_rows):
        codes = training.rows + n_columns * (64 * w + r if training.which == NULL else training.which[64 * w + r])
        for j in range(n_columns):
            if n_categories[j] > 2:
                if first_plane[j] >= 0:
                    words[first_plane[j] + codes[j]] |= (<uint64_t> 1) << r
            elif n_categories[j] == 2:
                words[first_plane[j]] |= (<uint64_t> (1 - codes[j])) << r
    for digit in range(training.n_digits):
        for r in range(n_rows):
            words[training.first_digit + digit] |= (<uint64_t> ((weight[r] >> digit) & 1)) << r
