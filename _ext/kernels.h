/* The hot loops over data, compiled once per instruction set and chosen at import.
 *
 * A bit plane holds one bit a row in 64-bit words, row r at bit r % 64 of word r / 64; bits past the last row are zero.
 * Every kernel gives the same integers on every instruction set.
 */
#ifndef TREEFLOWS_KERNELS_H
#define TREEFLOWS_KERNELS_H

#include "costs.h"

#include <stdint.h>

/* Candidate splits are scored this many at a time, one to a vector lane. */
#define TF_LANES 16

/* What a logarithmic pool pools at most: an average of three, the three by themselves, a logistic regression, a neural
 * network. And the sums of its loss, of the derivatives by each exponent, and of those by each two, the first with all,
 * the second with those from the second on, and so on. */
#define TF_VOICES 6
#define TF_SLOPES 28

/* Units of a neural network, at most. */
#define TF_MOST_UNITS 256

/* Rows that a network is learned from side by side. */
#define TF_ROWS 8

/* Low bits of a sum of costs that its rounding may have changed: sums that agree above them tie. */
#define TF_TIE_BITS 12

/* What the split search knows of one node. L: the node's counts, H = G - L: those of all other training rows. */
typedef struct {
    const int32_t *table;         /* co-occurrences, [n_planes, stride]; candidate splits along the second axis */
    int64_t stride;
    const int32_t *n_left;        /* rows that each candidate sends left, [stride] */
    const int32_t *plane_column;  /* column of each candidate, [stride]; -1 in the padding */
    const int32_t *cell_first;    /* per column, where its categories start in cell_plane, L and H; one more at the end */
    const int32_t *cell_plane;    /* plane of each category that occurs in the node; -1: second of a binary column */
    const int32_t *local;         /* L of the same */
    const int32_t *others;        /* H of as many places of the cell, the highest */
    const int64_t *own;           /* cost of the candidate's own column after the split, [stride] */
    const tf_costs *costs;        /* c -> c log c, fixed point */
    int32_t all_tabled;           /* whether all counts are */
    int32_t n_columns;
} tf_node;

/* One layer as the apply loop reads it. Children below zero are leaves, ~leaf. */
typedef struct {
    const int32_t *column;        /* per inner node */
    const int32_t *children;      /* per inner node: left, right */
    const uint8_t *sets;          /* [n_inner, set_stride]: 1 where the category goes left */
    const uint8_t *flips;         /* [n_leaves, n_columns]: exclusive-or of columns of two categories, else 0 */
    const uint8_t *tables;        /* [n_leaves, table_stride]: where each category goes */
    int64_t set_stride, table_stride;
    int32_t n_inner;
} tf_layer;

/* Logistic regressions of the columns first_output .. as a step of their learning reads them. A cell is a value of a
 * column that is not the column's reference, column after column in order; n_cells: those up to the last output's. */
typedef struct {
    const float *base;            /* per output */
    const float *coefficient;     /* [n_cells, n_outputs] */
    const int32_t *from;          /* per cell: the first output that it may bear upon, rounded down; 0 stands before it */
    const int32_t *wide;          /* first output and end of each column of more than one output */
    int64_t n_wide, n_cells, first_output, n_outputs;
} tf_regression;

/* A neural network that tells each place of a row by those before it, with one layer of rectified units: a unit sums
 * what the cells of the places before say (inward), and bears upon the logits of a place's cells (outward). These are
 * one array, in this order. */
typedef struct {
    float *bias;                  /* per unit */
    float *inward;                /* [n_cells, n_units] */
    float *outward;               /* [n_cells, n_units] */
    float *constant;              /* per cell */
    const int32_t *first;         /* where the cells of each place start; one more at the end */
    const uint8_t *told;          /* per place: whether its logits are wanted */
    int64_t n_places, n_units;    /* n_units: a multiple of TF_LANES */
} tf_network;

/* TF_ROWS rows that a network is learned from, which go through it side by side, place after place: what a place needs
 * of the parameters is then read once for all of them. The units of a row change only where a cell has come in, and only
 * then are they written down. */
typedef struct {
    int32_t *cell;                /* [n_places, TF_ROWS], -1 for none */
    int32_t *held;                /* [n_places, TF_ROWS]: which units, and slopes, are the row's there */
    float *units;                 /* [at most n_places * TF_ROWS, n_units] */
    float *slopes;                /* likewise: by the units' sums */
    float *errors;                /* [n_cells, TF_ROWS]: by the logits */
    float *scratch;               /* [2, TF_ROWS, n_units] */
} tf_batch;

/* States with a normal distribution of the numbers and independent distributions of the codes: y = factor z - shift are
 * a state's independent normal numbers. */
typedef struct {
    const double *base;           /* per state */
    const double *factor;         /* [n_numbers (n_numbers + 1) / 2, n_states]: lower triangular, row after row */
    const double *shift;          /* [n_numbers, n_states] */
    const double *log_prob;       /* [n_values, n_states] */
    int64_t n_numbers, n_coded, n_states;
} tf_gaussians;

typedef struct {
    const char *name;

    /* out[i, j] += rows in both plane a_i and plane b_j */
    void (*cooccurrence)(const uint64_t *a, int64_t n_a, const uint64_t *b, int64_t n_b, int64_t n_words,
                         int64_t plane_stride, int32_t *out, int64_t out_stride);

    /* rows of a plane that are in `left` and those that are in `right`, moved together; left and right are disjoint */
    void (*compress_plane)(const uint64_t *plane, const uint64_t *left, const uint64_t *right, int64_t n_words,
                           uint64_t *out_left, uint64_t *out_right);

    /* the same for one byte a row, over 64 * n_words rows at most */
    void (*compress_codes)(const uint8_t *codes, const uint64_t *left, int64_t n_rows, uint8_t *out_left,
                           uint8_t *out_right);

    /* the costs after each of the candidates first .. first + TF_LANES - 1; scratch: 2 * 256 * TF_LANES */
    void (*split_costs)(const tf_node *node, int64_t first, int32_t *scratch, int64_t *costs);

    /* permutes rows in place through all the layers; `wide`: the columns of more than two categories */
    void (*apply_layers)(const tf_layer *layers, int64_t n_layers, uint8_t *rows, int64_t n_rows, int64_t n_columns,
                         const int32_t *wide, int64_t n_wide, const int32_t *offsets);

    /* The next three grow one column's tree. Candidate splits lie side by side: word w of all their planes, then word
     * w + 1; `stride` words apart, a multiple of 8. */

    /* out[v, i] = rows in both candidate i and selection v. Of each selection, [n_selected, n_where], only the words
     * `where` of the planes are there. */
    void (*count_candidates)(const uint64_t *words, int64_t stride, int64_t n_candidates, const int32_t *where,
                             int64_t n_where, const uint64_t *selected, int64_t n_selected, int32_t *out,
                             int64_t out_stride);

    /* the rows of a mask alone, of the candidates `which`, moved together; every word of `out` is written */
    void (*compress_candidates)(const uint64_t *words, int64_t stride, const int32_t *which, int64_t n_which,
                                const uint64_t *mask, int64_t n_words, uint64_t *out, int64_t out_stride);

    /* log-likelihood of both sides of candidates: costs of their counts of the target's categories less those of their rows,
     * without their TF_TIE_BITS low bits; INT64_MIN where a side has fewer than min_rows rows. table: [n_counts, stride], the last row those of the left side. */
    void (*candidate_scores)(const int32_t *table, int64_t stride, int64_t n_candidates, const int32_t *counts,
                            int32_t n_counts, int32_t n_rows, int32_t min_rows, const tf_costs *costs, int64_t *out);

    /* One step of EM for a mixture of products, over rows given by those of their cells that are told. The posterior of
     * the states in a row is proportional to exp(base[s] + sum of log_prob[cell, s] over its cells); it is added to
     * counts[cell, s] of each of its cells and to rows[s]. Returns the sum of the logs of what it is divided by.
     * n_states: a multiple of TF_LANES; joint: scratch of as many. */
    double (*expect)(const int32_t *cells, const int64_t *starts, const float *weight, int64_t n_rows,
                     const float *base, const float *log_prob, int64_t n_states, float *joint, float *counts,
                     float *rows);

    /* out[v] = sum over states of w[s] theta[v, s]; n_states: a multiple of eight */
    void (*state_sums)(const double *w, const double *theta, int64_t n_values, int64_t n_states, double *out);

    /* row[o] += coefficient[cell, o] of each cell, from its first output on; n_outputs: a multiple of TF_LANES */
    void (*add_cells)(const int32_t *cells, int64_t n_cells, const float *coefficient, const int32_t *from,
                      int64_t n_outputs, float *row);

    /* What rows that have these weights and cells, in ascending order, add to the gradient of their negative
     * log-likelihood, [1 + n_cells, n_outputs], whose first row is of the base. scratch: 2 * n_outputs. */
    void (*regress)(const tf_regression *of, const int32_t *cells, const int64_t *starts, const float *weight,
                    int64_t n_rows, float *scratch, float *gradient);

    /* Posterior of the states given a row of numbers and of places in log_prob, to share; its log-likelihood.
     * scratch: n_states. */
    double (*respond)(const tf_gaussians *of, const double *numbers, const int32_t *cells, double *scratch,
                      double *share);

    /* What a row adds to the states' sums: of rows, of numbers, of their products, and of codes. */
    void (*collect)(const tf_gaussians *of, const double *numbers, const int32_t *cells, const double *share,
                    double *sums);

    /* Shares that numbers have by their logarithms, up to a constant; returns the logarithm of their sum. */
    double (*softmax)(const double *log_weight, int64_t n, double *share);

    /* Density, up to 1 / sqrt(2 pi), and probability below and above z of a mixture of normal distributions, to the
     * three places of out: before + own z is a state's standard normal number. scratch: 3 * n_states. */
    void (*normals)(const double *weight, const double *before, const double *own, int64_t n_states, double z,
                    double *scratch, double *out);

    /* What a column's rows add to the loss of a logarithmic pool, minus the log-probability of their values, and to its
     * derivatives: by each exponent, and by each two. n_voices: TF_VOICES, or one less. said, [n_others, n_voices,
     * stride]: how much likelier, in logarithms, each voice thinks each other value than the row's own; stride: a multiple
     * of TF_LANES, and from n_rows on there is 0. scratch: (1 + n_others) * TF_LANES. */
    void (*pool_slopes)(const double *said, int64_t n_voices, int64_t n_others, int64_t n_rows, int64_t stride,
                        const double *exponent, double *scratch, double *sums);

    /* Logits of some cells, from the first to before the end, of a place whose units have got these sums. */
    void (*tell)(const tf_network *of, const float *sums, int64_t first, int64_t end, float *logits);

    /* What rows of a batch say of a network: the units that they come to, how fast the negative log-likelihood grows
     * with the sum of each, and with the logits. */
    void (*descend)(const tf_network *of, tf_batch *rows);

    /* One step of Adam (Kingma and Ba 2015) for the parameters of the cells from the first to before the end, and with
     * cell 0 for those of the units, by what batches of rows say, summed one after the other and scaled. mean, square:
     * moments of all parameters. Those but constants are drawn to 0 by so much of them. */
    void (*step)(const tf_network *of, const tf_batch *batches, int64_t n_batches, int64_t first, int64_t end,
                 float *mean, float *square, float scale, float pull, float rate);

    /* a column pair of at least this many cells is counted faster by a histogram of codes than by planes */
    int64_t histogram_cells;

    /* a column of more categories is counted row by row when trees grow */
    int32_t wide;
} tf_kernels;

/* Best instruction set first, plain C last; the slot is what every module reads. */
extern const tf_kernels *tf_current;
int tf_n_available(void);
const tf_kernels *tf_available(int i);

#endif
