/* The cost c log c of a count in fixed point: tabled where the count is small, computed where it is not, the same integer
 * either way. */
#ifndef TREEFLOWS_COSTS_H
#define TREEFLOWS_COSTS_H

#include "elementary.h"

#include <math.h>

typedef struct {
    const int64_t *table; /* of the counts below n_tabled */
    int64_t n_tabled;
    double scale;         /* a power of two */
} tf_costs;

/* c log c times the scale, before it is rounded; 0 of no rows */
static inline double tf_scaled_cost(double c, double scale)
{
    double m;
    const double x = c > 1.0 ? c : 1.0;
    const int k = tf_split(x, &m);
    return x * tf_log_of(k, m - 1.0, 0.0) * scale;
}

static inline int64_t tf_cost(const tf_costs *of, int64_t c)
{
    return c < of->n_tabled ? of->table[c] : (int64_t)llrint(tf_scaled_cost((double)c, of->scale));
}

#endif
