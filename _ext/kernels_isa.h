/* Bodies of the kernels. kernels.c includes this file once per instruction set, with TF_ISA its suffix and, where the
 * set has them, TF_AVX2 or TF_AVX512 defined. Everything without intrinsics is left to the compiler to vectorise. */

#define TF_JOIN2(a, b) a##_##b
#define TF_JOIN(a, b) TF_JOIN2(a, b)
#define TF_NAME(name) TF_JOIN(name, TF_ISA)

/* ---- co-occurrence ------------------------------------------------------------------------------------------- */

/* One 4 x 4 block of planes at a time stays in registers; `n` words from each. */
#if defined(TF_AVX512)

#define TF_ROW(i)                                                                            \
    {                                                                                        \
        const __m512i x = _mm512_load_si512((const void *)(a + (i) * stride + w));           \
        s##i##0 = _mm512_add_epi64(s##i##0, _mm512_popcnt_epi64(_mm512_and_si512(x, b0)));   \
        s##i##1 = _mm512_add_epi64(s##i##1, _mm512_popcnt_epi64(_mm512_and_si512(x, b1)));   \
        s##i##2 = _mm512_add_epi64(s##i##2, _mm512_popcnt_epi64(_mm512_and_si512(x, b2)));   \
        s##i##3 = _mm512_add_epi64(s##i##3, _mm512_popcnt_epi64(_mm512_and_si512(x, b3)));   \
    }
#define TF_ZERO(i) \
    __m512i s##i##0 = _mm512_setzero_si512(), s##i##1 = s##i##0, s##i##2 = s##i##0, s##i##3 = s##i##0;
#define TF_SUM(i)                                                       \
    out[(i) * out_stride + 0] += (int32_t)_mm512_reduce_add_epi64(s##i##0); \
    out[(i) * out_stride + 1] += (int32_t)_mm512_reduce_add_epi64(s##i##1); \
    out[(i) * out_stride + 2] += (int32_t)_mm512_reduce_add_epi64(s##i##2); \
    out[(i) * out_stride + 3] += (int32_t)_mm512_reduce_add_epi64(s##i##3);

static void TF_NAME(block_4x4)(const uint64_t *a, const uint64_t *b, int64_t n, int64_t stride, int32_t *out,
                               int64_t out_stride)
{
    TF_ZERO(0) TF_ZERO(1) TF_ZERO(2) TF_ZERO(3)
    for (int64_t w = 0; w < n; w += 8) {
        const __m512i b0 = _mm512_load_si512((const void *)(b + w));
        const __m512i b1 = _mm512_load_si512((const void *)(b + stride + w));
        const __m512i b2 = _mm512_load_si512((const void *)(b + 2 * stride + w));
        const __m512i b3 = _mm512_load_si512((const void *)(b + 3 * stride + w));
        TF_ROW(0) TF_ROW(1) TF_ROW(2) TF_ROW(3)
    }
    TF_SUM(0) TF_SUM(1) TF_SUM(2) TF_SUM(3)
}
#undef TF_ROW
#undef TF_ZERO
#undef TF_SUM

static int32_t TF_NAME(pair)(const uint64_t *a, const uint64_t *b, int64_t n)
{
    __m512i s = _mm512_setzero_si512();
    for (int64_t w = 0; w < n; w += 8)
        s = _mm512_add_epi64(s, _mm512_popcnt_epi64(_mm512_and_si512(_mm512_load_si512((const void *)(a + w)),
                                                                     _mm512_load_si512((const void *)(b + w)))));
    return (int32_t)_mm512_reduce_add_epi64(s);
}

#else

#if defined(TF_AVX2)

/* Bits of each byte by a table of nibbles (Mula, Kurz, Lemire 2018). */
static inline __m256i TF_NAME(byte_bits)(__m256i x)
{
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4, 0, 1, 1, 2, 1, 2, 2, 3, 1, 2,
                                           2, 3, 2, 3, 3, 4);
    const __m256i low = _mm256_set1_epi8(0x0f);
    return _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(x, low)),
                           _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(x, 4), low)));
}

static int32_t TF_NAME(pair)(const uint64_t *a, const uint64_t *b, int64_t n)
{
    __m256i sum = _mm256_setzero_si256();
    /* a byte counts up to 255: the bits of 31 vectors at most, here of 24 */
    for (int64_t start = 0; start < n; start += 96) {
        const int64_t stop = start + 96 < n ? start + 96 : n;
        __m256i bytes = _mm256_setzero_si256();
        for (int64_t w = start; w < stop; w += 4)
            bytes = _mm256_add_epi8(bytes,
                                    TF_NAME(byte_bits)(_mm256_and_si256(_mm256_load_si256((const __m256i *)(a + w)),
                                                                        _mm256_load_si256((const __m256i *)(b + w)))));
        sum = _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, _mm256_setzero_si256()));
    }
    return (int32_t)(_mm256_extract_epi64(sum, 0) + _mm256_extract_epi64(sum, 1) + _mm256_extract_epi64(sum, 2) +
                     _mm256_extract_epi64(sum, 3));
}

#else

static inline uint64_t TF_NAME(word_bits)(uint64_t x)
{
    x -= (x >> 1) & 0x5555555555555555u;
    x = (x & 0x3333333333333333u) + ((x >> 2) & 0x3333333333333333u);
    x = (x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (x * 0x0101010101010101u) >> 56;
}

static int32_t TF_NAME(pair)(const uint64_t *a, const uint64_t *b, int64_t n)
{
    uint64_t sum = 0;
    for (int64_t w = 0; w < n; w++)
        sum += TF_NAME(word_bits)(a[w] & b[w]);
    return (int32_t)sum;
}

#endif

static void TF_NAME(block_4x4)(const uint64_t *a, const uint64_t *b, int64_t n, int64_t stride, int32_t *out,
                               int64_t out_stride)
{
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 4; j++)
            out[i * out_stride + j] += TF_NAME(pair)(a + i * stride, b + j * stride, n);
}

#endif

static void TF_NAME(cooccurrence)(const uint64_t *a, int64_t n_a, const uint64_t *b, int64_t n_b, int64_t n_words,
                                  int64_t plane_stride, int32_t *out, int64_t out_stride)
{
    /* 512 words of the planes of a call stay in the first-level cache while they are paired */
    for (int64_t start = 0; start < n_words; start += 512) {
        const int64_t n = n_words - start < 512 ? n_words - start : 512;
        for (int64_t i = 0; i < n_a; i += 4)
            for (int64_t j = 0; j < n_b; j += 4) {
                const uint64_t *ai = a + i * plane_stride + start, *bj = b + j * plane_stride + start;
                int32_t *o = out + i * out_stride + j;
                if (i + 4 <= n_a && j + 4 <= n_b) {
                    TF_NAME(block_4x4)(ai, bj, n, plane_stride, o, out_stride);
                    continue;
                }
                for (int64_t r = 0; r < 4 && i + r < n_a; r++)
                    for (int64_t c = 0; c < 4 && j + c < n_b; c++)
                        o[r * out_stride + c] += TF_NAME(pair)(ai + r * plane_stride, bj + c * plane_stride, n);
            }
    }
}

/* ---- partition by bit compression ----------------------------------------------------------------------------- */

#if defined(TF_AVX2) || defined(TF_AVX512)

#define TF_PREPARE(mask, moves) (void)(moves)
#define TF_EXTRACT(word, mask, moves) _pext_u64(word, mask)
#define TF_BITS(mask) ((int)_mm_popcnt_u64(mask))

#else

/* Without PEXT: six rounds of moves that depend on the mask alone (Warren, Hacker's Delight, "compress"). */
static inline void TF_NAME(prepare)(uint64_t mask, uint64_t *moves)
{
    uint64_t to_move = ~mask << 1, rest = mask;
    for (int i = 0; i < 6; i++) {
        uint64_t parity = to_move ^ (to_move << 1);
        parity ^= parity << 2;
        parity ^= parity << 4;
        parity ^= parity << 8;
        parity ^= parity << 16;
        parity ^= parity << 32;
        moves[i] = parity & rest;
        rest = (rest ^ moves[i]) | (moves[i] >> (1 << i));
        to_move &= ~parity;
    }
}

static inline uint64_t TF_NAME(extract)(uint64_t word, uint64_t mask, const uint64_t *moves)
{
    word &= mask;
    for (int i = 0; i < 6; i++) {
        const uint64_t t = word & moves[i];
        word = (word ^ t) | (t >> (1 << i));
    }
    return word;
}

#define TF_PREPARE(mask, moves) TF_NAME(prepare)(mask, moves)
#define TF_EXTRACT(word, mask, moves) TF_NAME(extract)(word, mask, moves)
#define TF_BITS(mask) ((int)TF_NAME(word_bits)(mask))

#endif

/* `mask` selects rows; they are appended to out. */
static void TF_NAME(compress_side)(const uint64_t *plane, const uint64_t *mask, int64_t n_words, uint64_t *out)
{
    uint64_t open = 0;
    int fill = 0;
    for (int64_t w = 0; w < n_words; w++) {
        uint64_t moves[6];
        TF_PREPARE(mask[w], moves);
        const uint64_t bits = TF_EXTRACT(plane[w], mask[w], moves);
        const int total = fill + TF_BITS(mask[w]);
        open |= bits << fill;
        if (total >= 64) {
            *out++ = open;
            open = fill ? bits >> (64 - fill) : 0;
        }
        fill = total & 63;
    }
    if (fill)
        *out = open;
}

static void TF_NAME(compress_plane)(const uint64_t *plane, const uint64_t *left, const uint64_t *right, int64_t n_words,
                                    uint64_t *out_left, uint64_t *out_right)
{
    TF_NAME(compress_side)(plane, left, n_words, out_left);
    TF_NAME(compress_side)(plane, right, n_words, out_right);
}

static void TF_NAME(compress_codes)(const uint8_t *codes, const uint64_t *left, int64_t n_rows, uint8_t *out_left,
                                    uint8_t *out_right)
{
    int64_t r = 0;
#if defined(TF_AVX512)
    for (; r + 64 <= n_rows; r += 64) {
        const uint64_t mask = left[r / 64];
        const int n = TF_BITS(mask);
        const __m512i x = _mm512_loadu_si512((const void *)(codes + r));
        _mm512_mask_storeu_epi8(out_left, _bzhi_u64(~0ull, (unsigned)n), _mm512_maskz_compress_epi8(mask, x));
        _mm512_mask_storeu_epi8(out_right, _bzhi_u64(~0ull, (unsigned)(64 - n)), _mm512_maskz_compress_epi8(~mask, x));
        out_left += n;
        out_right += 64 - n;
    }
#endif
    for (; r < n_rows; r++) {
        if ((left[r / 64] >> (r % 64)) & 1)
            *out_left++ = codes[r];
        else
            *out_right++ = codes[r];
    }
}

/* ---- greedy local permutation: cost of candidate splits -------------------------------------------------------- */

static inline void TF_NAME(order)(int32_t *x, int32_t *y)
{
    TF_SIMD
    for (int l = 0; l < TF_LANES; l++) {
        const int32_t lo = x[l] < y[l] ? x[l] : y[l], hi = x[l] < y[l] ? y[l] : x[l];
        x[l] = lo;
        y[l] = hi;
    }
}

/* Ascending, every lane on its own: Batcher's merge exchange (Knuth, TAOCP 3, algorithm 5.2.2 M). */
static void TF_NAME(sort_lanes)(int32_t *x, int n)
{
    int top = 1;
    while (2 * top < n)
        top *= 2;
    for (int p = top; p > 0; p /= 2) {
        int r = 0, d = p;
        for (int q = top;; q /= 2) {
            for (int i = 0; i < n - d; i++)
                if ((i & p) == r)
                    TF_NAME(order)(x + i * TF_LANES, x + (i + d) * TF_LANES);
            if (q == p)
                break;
            d = q - p;
            r = p;
        }
    }
}

/* Adds the costs of counts, each times a sign, to as many sums: computed, a vector at a time, if any is not tabled. */
static inline void TF_NAME(add_costs)(const tf_costs *of, const int32_t *count, int sign, int64_t *sum)
{
    double value[TF_LANES];
    int32_t most = 0;
    for (int l = 0; l < TF_LANES; l++)
        most = count[l] > most ? count[l] : most;
    if (most < of->n_tabled) {
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++)
            sum[l] += sign * of->table[count[l]];
        return;
    }
    TF_SIMD
    for (int l = 0; l < TF_LANES; l++)
        value[l] = tf_scaled_cost((double)count[l], of->scale);
    for (int l = 0; l < TF_LANES; l++)
        sum[l] += sign * (int64_t)llrint(value[l]);
}

static void TF_NAME(split_costs)(const tf_node *node, int64_t first, int32_t *scratch, int64_t *costs)
{
    const int64_t *cost = node->costs->table;
    const int32_t *n_left = node->n_left + first, *owner = node->plane_column + first;
    int64_t sum[TF_LANES] = {0}, value[TF_LANES];
    int32_t *left = scratch, *right = scratch + 256 * TF_LANES;
    for (int32_t j = 0; j < node->n_columns; j++) {
        const int32_t start = node->cell_first[j], k = node->cell_first[j + 1] - start;
        const int32_t *plane = node->cell_plane + start, *local = node->local + start, *others = node->others + start;
        if (k < 2)
            continue;
        if (owner[0] == j && owner[TF_LANES - 1] == j) {
            /* all candidates are splits on this very column */
            for (int l = 0; l < TF_LANES; l++)
                sum[l] += node->own[first + l];
            continue;
        }
        if (k == 2 && plane[1] < 0) {
            const int32_t *row = node->table + plane[0] * node->stride + first;
            const int32_t n = local[0] + local[1];
            TF_SIMD
            for (int l = 0; l < TF_LANES; l++) {
                const int32_t a = row[l], b = n_left[l] - a, c = local[0] - a, d = local[1] - b;
                const int32_t low = (a < b ? a : b) + (c < d ? c : d);
                left[l] = others[0] + low;
                right[l] = others[1] + n - low;
            }
            if (node->all_tabled) {
                TF_SIMD
                for (int l = 0; l < TF_LANES; l++)
                    value[l] = cost[left[l]] + cost[right[l]];
            } else {
                memset(value, 0, sizeof value);
                TF_NAME(add_costs)(node->costs, left, 1, value);
                TF_NAME(add_costs)(node->costs, right, 1, value);
            }
        } else {
            for (int32_t i = 0; i < k; i++) {
                const int32_t *row = node->table + plane[i] * node->stride + first;
                int32_t *x = left + (int64_t)i * TF_LANES, *y = right + (int64_t)i * TF_LANES;
                TF_SIMD
                for (int l = 0; l < TF_LANES; l++) {
                    x[l] = row[l];
                    y[l] = local[i] - row[l];
                }
            }
            TF_NAME(sort_lanes)(left, k);
            TF_NAME(sort_lanes)(right, k);
            for (int l = 0; l < TF_LANES; l++)
                value[l] = 0;
            for (int32_t i = 0; i < k; i++) {
                const int32_t *x = left + (int64_t)i * TF_LANES, *y = right + (int64_t)i * TF_LANES;
                const int64_t *cost_above = cost + others[i];
                if (node->all_tabled) {
                    TF_SIMD
                    for (int l = 0; l < TF_LANES; l++)
                        value[l] += cost_above[x[l] + y[l]];
                } else {
                    int32_t all[TF_LANES];
                    TF_SIMD
                    for (int l = 0; l < TF_LANES; l++)
                        all[l] = others[i] + x[l] + y[l];
                    TF_NAME(add_costs)(node->costs, all, 1, value);
                }
            }
        }
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++)
            sum[l] += owner[l] == j ? node->own[first + l] : value[l];
    }
    TF_SIMD
    for (int l = 0; l < TF_LANES; l++)
        costs[l] = sum[l];
}

/* ---- apply ----------------------------------------------------------------------------------------------------- */

static void TF_NAME(apply_layers)(const tf_layer *layers, int64_t n_layers, uint8_t *rows, int64_t n_rows,
                                  int64_t n_columns, const int32_t *wide, int64_t n_wide, const int32_t *offsets)
{
    for (int64_t t = 0; t < n_layers; t++) {
        const tf_layer *layer = layers + t;
        for (int64_t r = 0; r < n_rows; r++) {
            uint8_t *row = rows + r * n_columns;
            int32_t at = layer->n_inner > 0 ? 0 : ~0;
            while (at >= 0)
                at = layer->children[2 * at + !layer->sets[at * layer->set_stride + row[layer->column[at]]]];
            const int64_t leaf = ~at;
            const uint8_t *flips = layer->flips + leaf * n_columns, *table = layer->tables + leaf * layer->table_stride;
            for (int64_t i = 0; i < n_wide; i++) {
                const int32_t j = wide[i];
                row[j] = table[offsets[j] + row[j]];
            }
            if (n_wide < n_columns)
                for (int64_t j = 0; j < n_columns; j++)
                    row[j] ^= flips[j];
        }
    }
}

/* ---- growing one column's tree --------------------------------------------------------------------------------- */

static void TF_NAME(count_candidates)(const uint64_t *words, int64_t stride, int64_t n_candidates,
                                      const int32_t *where, int64_t n_where, const uint64_t *selected,
                                      int64_t n_selected, int32_t *out, int64_t out_stride)
{
#if defined(TF_AVX512)
    /* 32 candidates by 2 selections stay in registers */
    for (int64_t v = 0; v < n_selected; v += 2) {
        const int64_t second = v + 1 < n_selected ? v + 1 : v;
        const uint64_t *p = selected + v * n_where, *q = selected + second * n_where;
        for (int64_t i = 0; i < n_candidates; i += 32) {
            const int blocks = n_candidates - i > 24 ? 4 : (int)(n_candidates - i + 7) / 8;
            __m512i a[4], b[4];
            for (int k = 0; k < 4; k++)
                a[k] = b[k] = _mm512_setzero_si512();
#define TF_COUNT(n)                                                                                    \
    for (int64_t j = 0; j < n_where; j++) {                                                            \
        const uint64_t *row = words + where[j] * stride + i;                                           \
        const __m512i x = _mm512_set1_epi64((long long)p[j]), y = _mm512_set1_epi64((long long)q[j]);  \
        for (int k = 0; k < n; k++) {                                                                  \
            const __m512i c = _mm512_load_si512((const void *)(row + 8 * k));                          \
            a[k] = _mm512_add_epi64(a[k], _mm512_popcnt_epi64(_mm512_and_si512(c, x)));                \
            b[k] = _mm512_add_epi64(b[k], _mm512_popcnt_epi64(_mm512_and_si512(c, y)));                \
        }                                                                                              \
    }
            if (blocks == 4)
                TF_COUNT(4)
            else if (blocks == 3)
                TF_COUNT(3)
            else if (blocks == 2)
                TF_COUNT(2)
            else
                TF_COUNT(1)
#undef TF_COUNT
            for (int k = 0; k < blocks; k++) {
                _mm256_storeu_si256((__m256i *)(out + v * out_stride + i + 8 * k), _mm512_cvtepi64_epi32(a[k]));
                _mm256_storeu_si256((__m256i *)(out + second * out_stride + i + 8 * k), _mm512_cvtepi64_epi32(b[k]));
            }
        }
    }
#else
    for (int64_t v = 0; v < n_selected; v++) {
        int32_t *sums = out + v * out_stride;
        memset(sums, 0, (size_t)n_candidates * sizeof(int32_t));
        for (int64_t j = 0; j < n_where; j++) {
            const uint64_t *row = words + where[j] * stride, s = selected[v * n_where + j];
            if (s)
                for (int64_t i = 0; i < n_candidates; i++)
                    sums[i] += (int32_t)TF_BITS(row[i] & s);
        }
    }
#endif
}

static void TF_NAME(compress_candidates)(const uint64_t *words, int64_t stride, const int32_t *which, int64_t n_which,
                                         const uint64_t *mask, int64_t n_words, uint64_t *out, int64_t out_stride)
{
    int fill = 0;
    for (int64_t w = 0; w < n_words; w++) {
        const uint64_t *row = words + w * stride;
        uint64_t moves[6];
        const int n = TF_BITS(mask[w]);
        if (n == 0)
            continue;
        TF_PREPARE(mask[w], moves);
        if (fill == 0)
            memset(out, 0, (size_t)out_stride * sizeof(uint64_t));
        if (fill + n <= 64) {
            for (int64_t i = 0; i < n_which; i++)
                out[i] |= TF_EXTRACT(row[which[i]], mask[w], moves) << fill;
        } else {
            memset(out + out_stride, 0, (size_t)out_stride * sizeof(uint64_t));
            for (int64_t i = 0; i < n_which; i++) {
                const uint64_t bits = TF_EXTRACT(row[which[i]], mask[w], moves);
                out[i] |= bits << fill;
                out[out_stride + i] = bits >> (64 - fill);
            }
        }
        fill += n;
        if (fill >= 64) {
            out += out_stride;
            fill -= 64;
        }
    }
}

/* Counts of a row are taken from `rest`, and what is tabled for them is added to `sum`: unless one of them is TF_FEW or
 * more. Then nothing is done, and 0 returned. */
static inline int TF_NAME(add_few)(const int32_t *row, const int32_t *possible, const int64_t *term, int32_t *rest,
                                   int64_t *sum)
{
#ifdef TF_AVX512
    const __m512i count = _mm512_and_si512(_mm512_loadu_si512(row), _mm512_loadu_si512(possible));
    if (!_mm512_test_epi32_mask(count, count))
        return 1;
    if (_mm512_cmpge_epi32_mask(count, _mm512_set1_epi32(TF_FEW)))
        return 0;
    const __m512i low = _mm512_loadu_si512(term), high = _mm512_loadu_si512(term + 8);
    const __m512i first = _mm512_cvtepu32_epi64(_mm512_castsi512_si256(count));
    const __m512i second = _mm512_cvtepu32_epi64(_mm512_extracti64x4_epi64(count, 1));
    _mm512_storeu_si512(rest, _mm512_sub_epi32(_mm512_loadu_si512(rest), count));
    _mm512_storeu_si512(sum, _mm512_add_epi64(_mm512_loadu_si512(sum), _mm512_permutex2var_epi64(low, first, high)));
    _mm512_storeu_si512(
        sum + 8, _mm512_add_epi64(_mm512_loadu_si512(sum + 8), _mm512_permutex2var_epi64(low, second, high)));
#else
    int32_t count[TF_LANES], most = 0;
    TF_SIMD
    for (int l = 0; l < TF_LANES; l++)
        count[l] = row[l] & possible[l];
    for (int l = 0; l < TF_LANES; l++)
        most |= count[l];
    if (most >= TF_FEW)
        return 0;
    if (most == 0)
        return 1;
    TF_SIMD
    for (int l = 0; l < TF_LANES; l++) {
        rest[l] -= count[l];
        sum[l] += term[count[l]];
    }
#endif
    return 1;
}

/* Of many categories most counts are zero or small. A count of zero adds what it would alone at every candidate; what
 * small ones add to that is tabled for each category. Candidates are taken by the block, since a row of the table is
 * longer than a page. */
static void TF_NAME(scores_of_many)(const int32_t *table, int64_t stride, int64_t n_candidates, const int32_t *counts,
                                    int32_t n_counts, int32_t n_rows, int32_t min_rows, const int64_t *cost,
                                    int64_t *out)
{
    const int32_t *n_left = table + (n_counts - 1) * stride;
    int64_t alone = 0;
    for (int32_t v = 0; v + 1 < n_counts; v++)
        alone += cost[counts[v]];
    for (int64_t first = 0; first < n_candidates; first += TF_BLOCK) {
        const int64_t last = first + TF_BLOCK < n_candidates ? first + TF_BLOCK : n_candidates;
        const int n = (int)(last - first + TF_LANES - 1) / TF_LANES * TF_LANES;
        int32_t rest[TF_BLOCK], possible[TF_BLOCK]; /* all ones, or zero */
        int64_t sum[TF_BLOCK], term[TF_FEW] = {0};
        int32_t any = 0;
        TF_SIMD
        for (int l = 0; l < n; l++) {
            const int32_t left = n_left[first + l], right = n_rows - left;
            possible[l] = -((left >= min_rows) & (right >= min_rows));
            /* what lies past the last candidate is no count */
            rest[l] = left & possible[l];
            sum[l] = alone - cost[rest[l]] - cost[n_rows - rest[l]];
        }
        for (int l = 0; l < n; l++)
            any |= possible[l];
        for (int32_t v = 0; v + 1 < n_counts && any; v++) {
            const int32_t *row = table + v * stride + first;
            const int32_t all = counts[v];
            for (int c = 0; c < TF_FEW && c <= all; c++)
                term[c] = cost[c] + cost[all - c] - cost[all];
            for (int g = 0; g < n; g += TF_LANES) {
                if (TF_NAME(add_few)(row + g, possible + g, term, rest + g, sum + g))
                    continue;
                TF_SIMD
                for (int l = g; l < g + TF_LANES; l++) {
                    const int32_t c = row[l] & possible[l];
                    sum[l] += cost[c] + cost[all - c] - cost[all];
                    rest[l] -= c;
                }
            }
        }
        TF_SIMD
        for (int l = 0; l < n; l++) {
            sum[l] += cost[rest[l]] + cost[counts[n_counts - 1] - rest[l]];
            out[first + l] = possible[l] ? (sum[l] + (1 << (TF_TIE_BITS - 1))) >> TF_TIE_BITS : INT64_MIN;
        }
    }
}

/* Of a node of so many rows that their cost is not tabled. */
static void TF_NAME(scores_of_large)(const int32_t *table, int64_t stride, int64_t n_candidates, const int32_t *counts,
                                     int32_t n_counts, int32_t n_rows, int32_t min_rows, const tf_costs *costs,
                                     int64_t *out)
{
    const int32_t *n_left = table + (n_counts - 1) * stride;
    for (int64_t i = 0; i < n_candidates; i += TF_LANES) {
        int32_t rest[TF_LANES], right[TF_LANES], left[TF_LANES], possible[TF_LANES];
        int64_t sum[TF_LANES] = {0};
        for (int l = 0; l < TF_LANES; l++) {
            possible[l] = (n_left[i + l] >= min_rows) & (n_rows - n_left[i + l] >= min_rows);
            /* what lies past the last candidate is no count */
            rest[l] = possible[l] ? n_left[i + l] : 0;
            right[l] = n_rows - rest[l];
        }
        TF_NAME(add_costs)(costs, rest, -1, sum);
        TF_NAME(add_costs)(costs, right, -1, sum);
        for (int32_t v = 0; v < n_counts; v++) {
            for (int l = 0; l < TF_LANES; l++) {
                left[l] = v + 1 == n_counts ? rest[l] : possible[l] ? table[v * stride + i + l] : 0;
                right[l] = counts[v] - left[l];
                rest[l] -= left[l];
            }
            TF_NAME(add_costs)(costs, left, 1, sum);
            TF_NAME(add_costs)(costs, right, 1, sum);
        }
        for (int l = 0; l < TF_LANES; l++)
            out[i + l] = possible[l] ? (sum[l] + (1 << (TF_TIE_BITS - 1))) >> TF_TIE_BITS : INT64_MIN;
    }
}

static void TF_NAME(candidate_scores)(const int32_t *table, int64_t stride, int64_t n_candidates, const int32_t *counts,
                                     int32_t n_counts, int32_t n_rows, int32_t min_rows, const tf_costs *costs,
                                     int64_t *out)
{
    const int32_t *n_left = table + (n_counts - 1) * stride;
    const int64_t *cost = costs->table;
    if (n_rows >= costs->n_tabled) {
        TF_NAME(scores_of_large)(table, stride, n_candidates, counts, n_counts, n_rows, min_rows, costs, out);
        return;
    }
    if (n_counts >= TF_MANY) {
        TF_NAME(scores_of_many)(table, stride, n_candidates, counts, n_counts, n_rows, min_rows, cost, out);
        return;
    }
    for (int64_t i = 0; i < n_candidates; i += TF_LANES) {
        int32_t rest[TF_LANES], right[TF_LANES], possible[TF_LANES], any = 0;
        int64_t sum[TF_LANES];
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++) {
            rest[l] = n_left[i + l];
            right[l] = n_rows - rest[l];
            possible[l] = (rest[l] >= min_rows) & (right[l] >= min_rows);
        }
        for (int l = 0; l < TF_LANES; l++)
            any |= possible[l];
        if (!any) {
            for (int l = 0; l < TF_LANES; l++)
                out[i + l] = INT64_MIN;
            continue;
        }
        /* what lies past the last candidate is no count */
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++) {
            rest[l] = possible[l] ? rest[l] : 0;
            right[l] = n_rows - rest[l];
            sum[l] = -cost[rest[l]] - cost[right[l]];
        }
        for (int32_t v = 0; v + 1 < n_counts; v++) {
            const int32_t *row = table + v * stride + i;
            TF_SIMD
            for (int l = 0; l < TF_LANES; l++) {
                const int32_t c = possible[l] ? row[l] : 0;
                sum[l] += cost[c] + cost[counts[v] - c];
                rest[l] -= c;
            }
        }
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++) {
            sum[l] += cost[rest[l]] + cost[counts[n_counts - 1] - rest[l]];
            out[i + l] = possible[l] ? (sum[l] + (1 << (TF_TIE_BITS - 1))) >> TF_TIE_BITS : INT64_MIN;
        }
    }
}

/* ---- mixtures of products -------------------------------------------------------------------------------------- */

/* exp(x) for x <= 0 to a few units in the last place, by operations that round alike on every machine: 2^n times a
 * polynomial (Taylor) in what is left of x, at most log(2) / 2. Below -87 it is about 1e-38, not 0. */
static inline float TF_NAME(exp_negative)(float x)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to an integer, in the low bits */
    x = x < -87.0f ? -87.0f : x;
    const float n = (x * 1.44269504f + shift) - shift;
    const float r = (x - n * 0.693145752f) - n * 1.42860677e-6f;
    float p = 1.0f / 720.0f;
    p = p * r + 1.0f / 120.0f;
    p = p * r + 1.0f / 24.0f;
    p = p * r + 1.0f / 6.0f;
    p = p * r + 0.5f;
    p = p * r + 1.0f;
    p = p * r + 1.0f;
    const int32_t bits = ((int32_t)n + 127) << 23;
    float scale;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

static double TF_NAME(expect)(const int32_t *cells, const int64_t *starts, const float *weight, int64_t n_rows,
                              const float *base, const float *log_prob, int64_t n_states, float *joint, float *counts,
                              float *rows)
{
    double score = 0.0;
    for (int64_t r = 0; r < n_rows; r++) {
        memcpy(joint, base, (size_t)n_states * sizeof(float));
        for (int64_t i = starts[r]; i < starts[r + 1]; i++) {
            const float *told = log_prob + (int64_t)cells[i] * n_states;
            TF_SIMD
            for (int64_t s = 0; s < n_states; s++)
                joint[s] += told[s];
        }
        float lane[TF_LANES], sum[TF_LANES] = {0}, most;
        for (int i = 0; i < TF_LANES; i++)
            lane[i] = joint[i];
        for (int64_t s = TF_LANES; s < n_states; s += TF_LANES)
            TF_SIMD
            for (int i = 0; i < TF_LANES; i++)
                lane[i] = joint[s + i] > lane[i] ? joint[s + i] : lane[i];
        most = lane[0];
        for (int i = 1; i < TF_LANES; i++)
            most = lane[i] > most ? lane[i] : most;
        for (int64_t s = 0; s < n_states; s += TF_LANES)
            TF_SIMD
            for (int i = 0; i < TF_LANES; i++) {
                joint[s + i] = TF_NAME(exp_negative)(joint[s + i] - most);
                sum[i] += joint[s + i];
            }
        for (int step = TF_LANES / 2; step > 0; step /= 2)
            for (int i = 0; i < step; i++)
                sum[i] += sum[i + step];
        const float scale = weight[r] / sum[0];
        score += (double)weight[r] * ((double)most + tf_log((double)sum[0]));
        TF_SIMD
        for (int64_t s = 0; s < n_states; s++) {
            joint[s] *= scale;
            rows[s] += joint[s];
        }
        for (int64_t i = starts[r]; i < starts[r + 1]; i++) {
            float *count = counts + (int64_t)cells[i] * n_states;
            TF_SIMD
            for (int64_t s = 0; s < n_states; s++)
                count[s] += joint[s];
        }
    }
    return score;
}

/* Eight strands over the states, each a lane, summed in one order. */
static void TF_NAME(state_sums)(const double *w, const double *theta, int64_t n_values, int64_t n_states, double *out)
{
    for (int64_t v = 0; v < n_values; v++, theta += n_states) {
        double sum[8] = {0};
        for (int64_t s = 0; s < n_states; s += 8)
            TF_SIMD
            for (int i = 0; i < 8; i++)
                sum[i] += w[s + i] * theta[s + i];
        out[v] = ((sum[0] + sum[1]) + (sum[2] + sum[3])) + ((sum[4] + sum[5]) + (sum[6] + sum[7]));
    }
}

/* ---- logistic regressions of all columns at once --------------------------------------------------------------- */

static void TF_NAME(add_cells)(const int32_t *cells, int64_t n_cells, const float *coefficient, const int32_t *from,
                               int64_t n_outputs, float *row)
{
    for (int64_t i = 0; i < n_cells; i++) {
        const float *of = coefficient + (int64_t)cells[i] * n_outputs;
        TF_SIMD
        for (int64_t o = from[cells[i]]; o < n_outputs; o++)
            row[o] += of[o];
    }
}

static void TF_NAME(regress)(const tf_regression *of, const int32_t *cells, const int64_t *starts, const float *weight,
                             int64_t n_rows, float *scratch, float *gradient)
{
    const int64_t n_outputs = of->n_outputs;
    float *row = scratch, *total = scratch + n_outputs;
    for (int64_t r = 0; r < n_rows; r++) {
        const int32_t *cell = cells + starts[r];
        int64_t n_cells = starts[r + 1] - starts[r];
        while (n_cells > 0 && cell[n_cells - 1] >= of->n_cells)
            n_cells--;
        memcpy(row, of->base, (size_t)n_outputs * sizeof(float));
        TF_NAME(add_cells)(cell, n_cells, of->coefficient, of->from, n_outputs, row);
        TF_SIMD
        for (int64_t o = 0; o < n_outputs; o++) {
            /* cut where a float's exponential still has room for sums */
            row[o] = TF_NAME(exp_negative)(row[o] > 60.0f ? 60.0f : row[o]);
            total[o] = 1.0f + row[o];
        }
        for (int64_t j = 0; j < of->n_wide; j++) {
            float sum = 1.0f;
            for (int64_t o = of->wide[2 * j]; o < of->wide[2 * j + 1]; o++)
                sum += row[o];
            for (int64_t o = of->wide[2 * j]; o < of->wide[2 * j + 1]; o++)
                total[o] = sum;
        }
        TF_SIMD
        for (int64_t o = 0; o < n_outputs; o++)
            row[o] = row[o] / total[o] * weight[r];
        for (int64_t i = n_cells - 1; i >= 0 && cell[i] >= of->first_output; i--)
            row[cell[i] - of->first_output] -= weight[r];
        TF_SIMD
        for (int64_t o = 0; o < n_outputs; o++)
            gradient[o] += row[o];
        for (int64_t i = 0; i < n_cells; i++) {
            float *to = gradient + ((int64_t)cell[i] + 1) * n_outputs;
            TF_SIMD
            for (int64_t o = of->from[cell[i]]; o < n_outputs; o++)
                to[o] += row[o];
        }
    }
}

/* ---- mixtures of normal distributions ------------------------------------------------------------------------- */

/* e^x of x <= 0, as tf_exp has it, but never below e^-700: no branch, so that it goes a vector at a time */
static inline double TF_NAME(exp_below)(double x)
{
    double n;
    const double y = tf_exp_of(x < -700.0 ? -700.0 : x, &n);
    return y * tf_power_of_two((int)n);
}

static double TF_NAME(softmax)(const double *log_weight, int64_t n, double *share)
{
    double most = log_weight[0], total = 0.0;
    for (int64_t k = 1; k < n; k++)
        most = log_weight[k] > most ? log_weight[k] : most;
    TF_SIMD
    for (int64_t k = 0; k < n; k++)
        share[k] = TF_NAME(exp_below)(log_weight[k] - most);
    for (int64_t k = 0; k < n; k++) /* one after the other, the same on every processor */
        total += share[k];
    TF_SIMD
    for (int64_t k = 0; k < n; k++)
        share[k] /= total;
    return most + tf_log(total);
}

static double TF_NAME(respond)(const tf_gaussians *of, const double *numbers, const int32_t *cells, double *scratch,
                               double *share)
{
    const int64_t n = of->n_states;
    const double *factor = of->factor, *shift = of->shift;
    memcpy(share, of->base, (size_t)n * sizeof(double));
    for (int64_t c = 0; c < of->n_coded; c++) {
        const double *told = of->log_prob + (int64_t)cells[c] * n;
        TF_SIMD
        for (int64_t k = 0; k < n; k++)
            share[k] += told[k];
    }
    for (int64_t t = 0; t < of->n_numbers; t++, shift += n) {
        TF_SIMD
        for (int64_t k = 0; k < n; k++)
            scratch[k] = -shift[k];
        for (int64_t s = 0; s <= t; s++, factor += n) {
            const double x = numbers[s];
            TF_SIMD
            for (int64_t k = 0; k < n; k++)
                scratch[k] += x * factor[k];
        }
        TF_SIMD
        for (int64_t k = 0; k < n; k++)
            share[k] -= 0.5 * scratch[k] * scratch[k];
    }
    return TF_NAME(softmax)(share, n, share);
}

static void TF_NAME(collect)(const tf_gaussians *of, const double *numbers, const int32_t *cells, const double *share,
                             double *sums)
{
    const int64_t n = of->n_states;
    TF_SIMD
    for (int64_t k = 0; k < n; k++)
        sums[k] += share[k];
    sums += n;
    for (int64_t t = 0; t < of->n_numbers; t++, sums += n) {
        const double x = numbers[t];
        TF_SIMD
        for (int64_t k = 0; k < n; k++)
            sums[k] += x * share[k];
    }
    for (int64_t t = 0; t < of->n_numbers; t++)
        for (int64_t s = 0; s <= t; s++, sums += n) {
            const double x = numbers[t] * numbers[s];
            TF_SIMD
            for (int64_t k = 0; k < n; k++)
                sums[k] += x * share[k];
        }
    for (int64_t c = 0; c < of->n_coded; c++) {
        double *to = sums + (int64_t)cells[c] * n;
        TF_SIMD
        for (int64_t k = 0; k < n; k++)
            to[k] += share[k];
    }
}

static void TF_NAME(normals)(const double *weight, const double *before, const double *own, int64_t n, double z,
                             double *scratch, double *out)
{
    double *density = scratch, *below = scratch + n, *above = scratch + 2 * n;
    TF_SIMD
    for (int64_t k = 0; k < n; k++) {
        const double y = before[k] + own[k] * z, away = y < 0.0 ? -y : y;
        const double a = away < 1e3 ? away : 1e3; /* infinitely far out there is nothing, not NaN */
        const double bell = TF_NAME(exp_below)(-0.5 * a * a);
        const double tail = bell * tf_mills(a) * 3.98942280401432678e-01, rest = 1.0 - tail;
        density[k] = weight[k] * own[k] * bell;
        below[k] = weight[k] * (y < 0.0 ? tail : rest);
        above[k] = weight[k] * (y < 0.0 ? rest : tail);
    }
    double sums[3] = {0};
    for (int64_t k = 0; k < n; k++) { /* one after the other, the same on every processor */
        sums[0] += density[k];
        sums[1] += below[k];
        sums[2] += above[k];
    }
    memcpy(out, sums, sizeof sums);
}

/* ---- logarithmic pools ------------------------------------------------------------------------------------------ */

static inline void TF_NAME(slopes_of)(const double *said, const int n_voices, int64_t n_others, int64_t n_rows,
                                      int64_t stride, const double *exponent, double *scratch, double *sums)
{
    const int n_sums = 1 + n_voices + n_voices * (n_voices + 1) / 2;
    double sum[TF_SLOPES][TF_LANES] = {{0}};
    double *total = scratch, *p = scratch + TF_LANES;
    for (int64_t r = 0; r < stride; r += TF_LANES) {
        double most[TF_LANES] = {0}, mean[TF_VOICES][TF_LANES] = {{0}};
        for (int64_t v = 0; v < n_others; v++) {
            const double *of = said + v * n_voices * stride + r;
            double *z = p + v * TF_LANES;
            TF_SIMD
            for (int l = 0; l < TF_LANES; l++)
                z[l] = exponent[0] * of[l];
            for (int e = 1; e < n_voices; e++)
                TF_SIMD
                for (int l = 0; l < TF_LANES; l++)
                    z[l] += exponent[e] * of[e * stride + l];
            TF_SIMD
            for (int l = 0; l < TF_LANES; l++)
                most[l] = z[l] > most[l] ? z[l] : most[l];
        }
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++)
            total[l] = TF_NAME(exp_below)(-most[l]);
        for (int64_t v = 0; v < n_others; v++)
            TF_SIMD
            for (int l = 0; l < TF_LANES; l++) {
                p[v * TF_LANES + l] = TF_NAME(exp_below)(p[v * TF_LANES + l] - most[l]);
                total[l] += p[v * TF_LANES + l];
            }
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++) {
            double m;
            const int k = tf_split(total[l], &m);
            const double loss = most[l] + tf_log_of(k, m - 1.0, 0.0);
            sum[0][l] += r + l < n_rows ? loss : 0.0;
            total[l] = 1.0 / total[l];
        }
        for (int64_t v = 0; v < n_others; v++) {
            const double *of = said + v * n_voices * stride + r;
            int h = 1 + n_voices;
            for (int e = 0; e < n_voices; e++) {
                double both[TF_LANES];
                TF_SIMD
                for (int l = 0; l < TF_LANES; l++) {
                    both[l] = p[v * TF_LANES + l] * total[l] * of[e * stride + l];
                    mean[e][l] += both[l];
                }
                for (int f = e; f < n_voices; f++, h++)
                    TF_SIMD
                    for (int l = 0; l < TF_LANES; l++)
                        sum[h][l] += both[l] * of[f * stride + l];
            }
        }
        for (int e = 0, h = 1 + n_voices; e < n_voices; e++) {
            TF_SIMD
            for (int l = 0; l < TF_LANES; l++)
                sum[1 + e][l] += mean[e][l];
            for (int f = e; f < n_voices; f++, h++)
                TF_SIMD
                for (int l = 0; l < TF_LANES; l++)
                    sum[h][l] -= mean[e][l] * mean[f][l];
        }
    }
    for (int h = 0; h < n_sums; h++)
        for (int l = 0; l < TF_LANES; l++)
            sums[h] += sum[h][l];
}

/* With a number of voices that the compiler knows. */
static void TF_NAME(pool_slopes)(const double *said, int64_t n_voices, int64_t n_others, int64_t n_rows, int64_t stride,
                                 const double *exponent, double *scratch, double *sums)
{
    if (n_voices == TF_VOICES)
        TF_NAME(slopes_of)(said, TF_VOICES, n_others, n_rows, stride, exponent, scratch, sums);
    else
        TF_NAME(slopes_of)(said, TF_VOICES - 1, n_others, n_rows, stride, exponent, scratch, sums);
}

/* ---- neural networks of one layer ------------------------------------------------------------------------------- */

/* Inner product in TF_LANES sums, then by halves: the same on every processor. */
static inline float TF_NAME(inner)(const float *a, const float *b, int64_t n)
{
    float sum[16] = {0}, eight[8], four[4]; /* TF_LANES */
    for (int64_t i = 0; i < n; i += TF_LANES)
        TF_SIMD
        for (int l = 0; l < TF_LANES; l++)
            sum[l] += a[i + l] * b[i + l];
    TF_SIMD
    for (int l = 0; l < 8; l++)
        eight[l] = sum[l] + sum[l + 8];
    TF_SIMD
    for (int l = 0; l < 4; l++)
        four[l] = eight[l] + eight[l + 4];
    return (four[0] + four[2]) + (four[1] + four[3]);
}

static inline void TF_NAME(rectify)(const float *sums, int64_t n, float *units)
{
    TF_SIMD
    for (int64_t i = 0; i < n; i++)
        units[i] = sums[i] > 0.0f ? sums[i] : 0.0f;
}

static inline void TF_NAME(add)(const float *of, int64_t n, float *to)
{
    TF_SIMD
    for (int64_t i = 0; i < n; i++)
        to[i] += of[i];
}

static void TF_NAME(tell)(const tf_network *of, const float *sums, int64_t first, int64_t end, float *logits)
{
    float units[TF_MOST_UNITS];
    TF_NAME(rectify)(sums, of->n_units, units);
    for (int64_t q = first; q < end; q++)
        logits[q - first] = of->constant[q] + TF_NAME(inner)(of->outward + q * of->n_units, units, of->n_units);
}

/* `inner` with the units of TF_ROWS rows, whose sums by halves do not wait for each other. */
static inline void TF_NAME(inners)(const float *a, const float *units, const int32_t *held, int64_t n, float *out)
{
    float sum[TF_ROWS * 16], eight[TF_ROWS * 8], four[TF_ROWS * 4]; /* 16: TF_LANES */
    for (int64_t r = 0; r < TF_ROWS; r++) {
        const float *b = units + held[r] * n;
        float own[16] = {0};
        for (int64_t i = 0; i < n; i += 16)
            TF_SIMD
            for (int l = 0; l < 16; l++)
                own[l] += a[i + l] * b[i + l];
        memcpy(sum + 16 * r, own, sizeof own);
    }
    for (int64_t r = 0; r < TF_ROWS; r++)
        TF_SIMD
        for (int l = 0; l < 8; l++)
            eight[8 * r + l] = sum[16 * r + l] + sum[16 * r + l + 8];
    for (int64_t r = 0; r < TF_ROWS; r++)
        TF_SIMD
        for (int l = 0; l < 4; l++)
            four[4 * r + l] = eight[8 * r + l] + eight[8 * r + l + 4];
    for (int64_t r = 0; r < TF_ROWS; r++)
        out[r] = (four[4 * r] + four[4 * r + 2]) + (four[4 * r + 1] + four[4 * r + 3]);
}

static void TF_NAME(descend)(const tf_network *of, tf_batch *rows)
{
    const int64_t n = of->n_units, n_cells = of->first[of->n_places];
    float *sums = rows->scratch, *to_units = sums, *to_sums = sums + TF_ROWS * n, *errors = rows->errors;
    int32_t n_held = 0;
    for (int64_t r = 0; r < TF_ROWS; r++)
        memcpy(sums + r * n, of->bias, (size_t)n * sizeof(float));
    for (int64_t t = 0; t < of->n_places; t++) {
        const int32_t *cell = rows->cell + t * TF_ROWS;
        int32_t *held = rows->held + t * TF_ROWS;
        for (int64_t r = 0; r < TF_ROWS; r++)
            if (t == 0 || cell[r - TF_ROWS] >= 0) {
                held[r] = n_held++;
                TF_NAME(rectify)(sums + r * n, n, rows->units + held[r] * n);
            } else
                held[r] = held[r - TF_ROWS];
        for (int64_t q = of->first[t]; q < of->first[t + 1]; q++) {
            float *row = errors + q * TF_ROWS;
            memset(row, 0, TF_ROWS * sizeof(float));
            if (of->told[t]) {
                TF_NAME(inners)(of->outward + q * n, rows->units, held, n, row);
                for (int64_t r = 0; r < TF_ROWS; r++)
                    row[r] += of->constant[q];
            }
        }
        for (int64_t r = 0; r < TF_ROWS; r++)
            if (cell[r] >= 0)
                TF_NAME(add)(of->inward + cell[r] * n, n, sums + r * n);
    }
    TF_SIMD
    for (int64_t i = 0; i < n_cells * TF_ROWS; i++) /* cut where a float's exponential still has room for sums */
        errors[i] = TF_NAME(exp_negative)(errors[i] > 60.0f ? 60.0f : errors[i]);
    for (int64_t t = 0; t < of->n_places; t++) {
        float total[TF_ROWS];
        for (int r = 0; r < TF_ROWS; r++)
            total[r] = 1.0f;
        for (int64_t q = of->first[t]; q < of->first[t + 1]; q++)
            TF_NAME(add)(errors + q * TF_ROWS, TF_ROWS, total);
        for (int64_t q = of->first[t]; q < of->first[t + 1]; q++)
            TF_SIMD
            for (int r = 0; r < TF_ROWS; r++)
                errors[q * TF_ROWS + r] /= total[r];
        for (int r = 0; r < TF_ROWS; r++)
            if (rows->cell[t * TF_ROWS + r] >= 0)
                errors[rows->cell[t * TF_ROWS + r] * TF_ROWS + r] -= 1.0f;
    }
    memset(to_units, 0, (size_t)(2 * TF_ROWS * n) * sizeof(float)); /* and to_sums */
    for (int64_t t = of->n_places - 1; t >= 0; t--) {
        const int32_t *held = rows->held + t * TF_ROWS;
        if (of->told[t])
            for (int64_t q = of->first[t]; q < of->first[t + 1]; q++)
                for (int64_t r = 0; r < TF_ROWS; r++) {
                    const float error = errors[q * TF_ROWS + r], *from = of->outward + q * n;
                    float *to = to_units + r * n;
                    TF_SIMD
                    for (int64_t i = 0; i < n; i++)
                        to[i] += error * from[i];
                }
        for (int64_t r = 0; r < TF_ROWS; r++) {
            if (t > 0 && held[r] == held[r - TF_ROWS])
                continue;
            const float *unit = rows->units + held[r] * n;
            float *slope = rows->slopes + held[r] * n, *to = to_sums + r * n, *from = to_units + r * n;
            TF_SIMD
            for (int64_t i = 0; i < n; i++) {
                to[i] += unit[i] > 0.0f ? from[i] : 0.0f;
                slope[i] = to[i];
                from[i] = 0.0f;
            }
        }
    }
}

typedef struct {
    float scale, pull, rate;
} TF_NAME(way);

/* One step for parameters of these slopes. */
static inline void TF_NAME(move)(const float *slope_of, int64_t n, TF_NAME(way) by, float *parameter, float *mean,
                                 float *square)
{
    TF_SIMD
    for (int64_t i = 0; i < n; i++) {
        const float slope = slope_of[i] * by.scale + by.pull * parameter[i];
        const float m = 0.9f * mean[i] + 0.1f * slope, s = 0.999f * square[i] + 0.001f * (slope * slope);
        /* what has faded is nothing, before it is too small for a float's full precision */
        mean[i] = m < 1e-15f && m > -1e-15f ? 0.0f : m;
        square[i] = s < 1e-30f ? 0.0f : s;
        parameter[i] -= by.rate * mean[i] / (sqrtf(square[i]) + 1e-8f);
    }
}

/* Added to slopes: by the sums of the units at a place, of all rows or of those that have come there by a cell. */
static void TF_NAME(add_slopes)(const tf_batch *rows, int64_t t, int64_t cell, int64_t n, float *slopes)
{
    const int32_t *held = rows->held + t * TF_ROWS;
    float part[TF_MOST_UNITS];
    int any = 0;
    for (int64_t r = 0; r < TF_ROWS; r++)
        if (cell < 0 || rows->cell[(t - 1) * TF_ROWS + r] == cell) {
            if (any++)
                TF_NAME(add)(rows->slopes + held[r] * n, n, part);
            else
                memcpy(part, rows->slopes + held[r] * n, (size_t)n * sizeof(float));
        }
    if (any)
        TF_NAME(add)(part, n, slopes);
}

/* Added to slopes: by what the units say of a cell. */
static inline void TF_NAME(add_weighted)(const tf_batch *rows, int64_t t, const float *error, int64_t n, float *slopes)
{
    const int32_t *held = rows->held + t * TF_ROWS;
    const float *a = rows->units + held[0] * n, *b = rows->units + held[1] * n, *c = rows->units + held[2] * n;
    const float *d = rows->units + held[3] * n, *e = rows->units + held[4] * n, *f = rows->units + held[5] * n;
    const float *g = rows->units + held[6] * n, *h = rows->units + held[7] * n;
    TF_SIMD
    for (int64_t i = 0; i < n; i++)
        slopes[i] += error[0] * a[i] + error[1] * b[i] + error[2] * c[i] + error[3] * d[i] + error[4] * e[i] +
                     error[5] * f[i] + error[6] * g[i] + error[7] * h[i];
}

static void TF_NAME(step)(const tf_network *of, const tf_batch *batches, int64_t n_batches, int64_t first, int64_t end,
                          float *mean, float *square, float scale, float pull, float rate)
{
    const TF_NAME(way) drawn = {scale, pull, rate}, free = {scale, 0.0f, rate};
    const int64_t n = of->n_units;
    const size_t size = (size_t)n * sizeof(float);
    float slopes[TF_MOST_UNITS];
    if (first == 0 && end > 0) { /* of all parts of the cells, maybe empty ones, one */
        memset(slopes, 0, size);
        for (int64_t b = 0; b < n_batches; b++)
            TF_NAME(add_slopes)(batches + b, 0, -1, n, slopes);
        TF_NAME(move)(slopes, n, drawn, of->bias, mean, square);
    }
    int64_t t = 0;
    for (int64_t q = first; q < end; q++) {
        while (of->first[t + 1] <= q)
            t++;
        memset(slopes, 0, size);
        for (int64_t b = 0; t + 1 < of->n_places && b < n_batches; b++) /* after the last place nothing follows */
            TF_NAME(add_slopes)(batches + b, t + 1, q, n, slopes);
        int64_t at = of->inward + q * n - of->bias;
        TF_NAME(move)(slopes, n, drawn, of->bias + at, mean + at, square + at);
        float constant = 0.0f;
        memset(slopes, 0, size);
        for (int64_t b = 0; of->told[t] && b < n_batches; b++) {
            const float *error = batches[b].errors + q * TF_ROWS;
            float own = 0.0f;
            for (int r = 0; r < TF_ROWS; r++)
                own += error[r];
            constant += own;
            TF_NAME(add_weighted)(batches + b, t, error, n, slopes);
        }
        at = of->outward + q * n - of->bias;
        TF_NAME(move)(slopes, n, drawn, of->bias + at, mean + at, square + at);
        at = of->constant + q - of->bias;
        TF_NAME(move)(&constant, 1, free, of->bias + at, mean + at, square + at);
    }
}

#undef TF_PREPARE
#undef TF_EXTRACT
#undef TF_BITS
#undef TF_NAME
#undef TF_JOIN
#undef TF_JOIN2
