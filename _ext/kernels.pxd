# What the Cython modules see of kernels.h. The kernels are compiled once, into treeflows._ext.isa; other modules reach
# the chosen set through a capsule.

from cpython.pycapsule cimport PyCapsule_GetPointer
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from _ext.costs cimport tf_costs

cdef extern from "kernels.h" nogil:
    enum:
        TF_LANES
        TF_VOICES
        TF_SLOPES
        TF_MOST_UNITS
        TF_ROWS

    ctypedef struct tf_node:
        const int32_t *table
        int64_t stride
        const int32_t *n_left
        const int32_t *plane_column
        const int32_t *cell_first
        const int32_t *cell_plane
        const int32_t *local
        const int32_t *others
        const int64_t *own
        const tf_costs *costs
        int32_t all_tabled
        int32_t n_columns

    ctypedef struct tf_layer:
        const int32_t *column
        const int32_t *children
        const uint8_t *sets
        const uint8_t *flips
        const uint8_t *tables
        int64_t set_stride
        int64_t table_stride
        int32_t n_inner

    ctypedef struct tf_regression:
        const float *base
        const float *coefficient
        const int32_t *from_ "from"
        const int32_t *wide
        int64_t n_wide
        int64_t n_cells
        int64_t first_output
        int64_t n_outputs

    ctypedef struct tf_network:
        float *bias
        float *inward
        float *outward
        float *constant
        const int32_t *first
        const uint8_t *told
        int64_t n_places
        int64_t n_units

    ctypedef struct tf_batch:
        int32_t *cell
        int32_t *held
        float *units
        float *slopes
        float *errors
        float *scratch

    ctypedef struct tf_gaussians:
        const double *base
        const double *factor
        const double *shift
        const double *log_prob
        int64_t n_numbers
        int64_t n_coded
        int64_t n_states

    ctypedef struct tf_kernels:
        const char *name
        void (*cooccurrence)(const uint64_t *, int64_t, const uint64_t *, int64_t, int64_t, int64_t, int32_t *,
                             int64_t) noexcept nogil
        void (*compress_plane)(const uint64_t *, const uint64_t *, const uint64_t *, int64_t, uint64_t *,
                               uint64_t *) noexcept nogil
        void (*compress_codes)(const uint8_t *, const uint64_t *, int64_t, uint8_t *, uint8_t *) noexcept nogil
        void (*split_costs)(const tf_node *, int64_t, int32_t *, int64_t *) noexcept nogil
        void (*apply_layers)(const tf_layer *, int64_t, uint8_t *, int64_t, int64_t, const int32_t *, int64_t,
                             const int32_t *) noexcept nogil
        void (*count_candidates)(const uint64_t *, int64_t, int64_t, const int32_t *, int64_t, const uint64_t *,
                                 int64_t, int32_t *, int64_t) noexcept nogil
        void (*compress_candidates)(const uint64_t *, int64_t, const int32_t *, int64_t, const uint64_t *, int64_t,
                                    uint64_t *, int64_t) noexcept nogil
        void (*candidate_scores)(const int32_t *, int64_t, int64_t, const int32_t *, int32_t, int32_t, int32_t,
                                 const tf_costs *, int64_t *) noexcept nogil
        double (*expect)(const int32_t *, const int64_t *, const float *, int64_t, const float *, const float *,
                         int64_t, float *, float *, float *) noexcept nogil
        void (*state_sums)(const double *, const double *, int64_t, int64_t, double *) noexcept nogil
        void (*add_cells)(const int32_t *, int64_t, const float *, const int32_t *, int64_t, float *) noexcept nogil
        void (*regress)(const tf_regression *, const int32_t *, const int64_t *, const float *, int64_t, float *,
                        float *) noexcept nogil
        double (*respond)(const tf_gaussians *, const double *, const int32_t *, double *, double *) noexcept nogil
        void (*collect)(const tf_gaussians *, const double *, const int32_t *, const double *,
                        double *) noexcept nogil
        double (*softmax)(const double *, int64_t, double *) noexcept nogil
        void (*normals)(const double *, const double *, const double *, int64_t, double, double *,
                        double *) noexcept nogil
        void (*pool_slopes)(const double *, int64_t, int64_t, int64_t, int64_t, const double *, double *,
                            double *) noexcept nogil
        void (*tell)(const tf_network *, const float *, int64_t, int64_t, float *) noexcept nogil
        void (*descend)(const tf_network *, tf_batch *) noexcept nogil
        void (*step)(const tf_network *, const tf_batch *, int64_t, int64_t, int64_t, float *, float *, float, float,
                     float) noexcept nogil
        int64_t histogram_cells
        int32_t wide

cdef inline const tf_kernels *current_kernels() except NULL:
    from treeflows._ext.isa import kernels
    return (<const tf_kernels **> PyCapsule_GetPointer(kernels, b"treeflows._ext.isa.kernels"))[0]


# A user's own cost of describing n values that have these counts (see treeflows.learning.objective).
ctypedef double (*objective_function)(const int64_t *counts, int64_t n_categories, int64_t n) noexcept nogil

cdef enum:
    OBJECTIVE_BITS = 36  # costs that agree to 2**-36 of the node's own cost tie, whatever the rounding of their sums
