#include "kernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>


/* Loops over lanes are vectorised as they stand, not unrolled first. */
#if defined(_OPENMP) && _OPENMP >= 201307
#define TF_SIMD _Pragma("omp simd")
#else
#define TF_SIMD
#endif

/* From so many categories on, most cells of a table of counts are taken to be zero, or below TF_FEW. */
#define TF_MANY 24
#define TF_FEW 16
#define TF_BLOCK 256 /* candidates that are scored together then, a multiple of TF_LANES */

/* Pragmas that switch the instruction set inside a file; compilers without them get plain C. */
#if (defined(__x86_64__) || defined(__amd64__)) && defined(__GNUC__) && !defined(__APPLE__)
#define TF_X86 1
#include <immintrin.h>
#endif

#define TF_ISA baseline
#include "kernels_isa.h"
#undef TF_ISA

#ifdef TF_X86

#define TF_DO_PRAGMA(x) _Pragma(#x)
#if defined(__clang__)
#define TF_BEGIN_TARGET(isa) TF_DO_PRAGMA(clang attribute push(__attribute__((target(isa))), apply_to = function))
#define TF_END_TARGET _Pragma("clang attribute pop")
#else
#define TF_BEGIN_TARGET(isa) _Pragma("GCC push_options") TF_DO_PRAGMA(GCC target(isa))
#define TF_END_TARGET _Pragma("GCC pop_options")
#endif

#define TF_AVX2
#define TF_ISA avx2
TF_BEGIN_TARGET("avx2,bmi,bmi2,popcnt")
#include "kernels_isa.h"
TF_END_TARGET
#undef TF_ISA
#undef TF_AVX2

#define TF_AVX512
#define TF_ISA avx512
TF_BEGIN_TARGET("avx2,bmi,bmi2,popcnt,avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi2,avx512vpopcntdq")
#include "kernels_isa.h"
TF_END_TARGET
#undef TF_ISA
#undef TF_AVX512

#endif

#define TF_TABLE(isa, cells, wide) \
    {#isa,                                                                                        \
     cooccurrence_##isa,                                                                          \
     compress_plane_##isa,                                                                        \
     compress_codes_##isa,                                                                        \
     split_costs_##isa,                                                                           \
     apply_layers_##isa,                                                                          \
     count_candidates_##isa,                                                                      \
     compress_candidates_##isa,                                                                   \
     candidate_scores_##isa,                                                                       \
     expect_##isa,                                                                                \
     state_sums_##isa,                                                                            \
     add_cells_##isa,                                                                             \
     regress_##isa,                                                                               \
     respond_##isa,                                                                               \
     collect_##isa,                                                                               \
     softmax_##isa,                                                                               \
     normals_##isa,                                                                               \
     pool_slopes_##isa,                                                                           \
     tell_##isa,                                                                                  \
     descend_##isa,                                                                               \
     step_##isa,                                                                                  \
     cells,                                                                                       \
     wide}

/* Cells of a column pair from which a histogram counts faster: where the times of both met at 30,000 rows, rounded. */
static const tf_kernels compiled[] = {
#ifdef TF_X86
    TF_TABLE(avx512, 600, 16),
    TF_TABLE(avx2, 150, 16),
#endif
    TF_TABLE(baseline, 30, 16),
};

#define TF_N_COMPILED ((int)(sizeof(compiled) / sizeof(compiled[0])))

static int supported(int i)
{
#ifdef TF_X86
    __builtin_cpu_init();
    const int avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
    if (i == 0)
        return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("avx512vpopcntdq");
    if (i == 1)
        return avx2;
#endif
    return i == TF_N_COMPILED - 1;
}

const tf_kernels *tf_current = NULL;

int tf_n_available(void)
{
    int n = 0;
    for (int i = 0; i < TF_N_COMPILED; i++)
        n += supported(i);
    return n;
}

const tf_kernels *tf_available(int which)
{
    for (int i = 0; i < TF_N_COMPILED; i++)
        if (supported(i) && which-- == 0)
            return &compiled[i];
    return NULL;
}
