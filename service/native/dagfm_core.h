/* DAGFM-inner and DAGFM-outer with the plain readout, context once per request. No Python here.

       h^1 = C e     h^{t+1}_s = h^1_s ⊙ Σ_{f ≤ s} φ_t(h^t_f)     logit = b + Σ_t Σ_s w^t_s Σ_d h^t_s
       inner: φ(h_f) = h_f ⊙ p[f, s]          outer: φ(h_f) = ⟨h_f, p[f, s]⟩ · q[f, s]

   The fields are Fc context fields, then Fx candidate fields; edges run from lower to higher field, so the context's
   states and its messages to candidates are computed once. Per candidate: E = Fx(Fx+1)/2 edges, inner E·D, outer
   2·E·D multiply-adds per layer. Weights are packed once in the order in which they are read; the embedding table is
   the caller's and is not copied, and its rows, if they are float16 or int8, are turned into float as they are
   gathered. A model is read-only after dagfm_build: any number of threads may score with one, each with a work area of
   its own. */
#ifndef DAGFM_CORE_H
#define DAGFM_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#if defined(__GNUC__) && defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

#define DAGFM_OK (-1)       /* every id was inside its field's table */
#define DAGFM_ALIGNMENT 64  /* bytes; a cache line and the widest register */
#define DAGFM_LIMIT 4096    /* most fields, dimensions and layers */

typedef enum { DAGFM_FLOAT32, DAGFM_FLOAT16, DAGFM_INT8 } dagfm_stored; /* how rows of the table are stored */

typedef struct {
    const void *embedding_VD;
    const float *scale_V, *connect_FF, *p_LFFD, *q_LFFD, *readout_TF; /* scale for int8 alone, q NULL for inner */
    const int64_t *sizes_F;                                           /* ids of each field */
    int fields, context, dimension, layers;
    float bias;
    dagfm_stored stored;
} dagfm_weights;

typedef struct dagfm_work dagfm_work;
typedef struct dagfm_model dagfm_model;
typedef int64_t dagfm_score_fn(const dagfm_model *, const dagfm_work *, const int32_t *, const int32_t *, int64_t,
                               float *);

typedef struct {
    const char *name;
    int vec_floats, group; /* numbers in a register; targets, or dimensions of one, computed side by side */
    dagfm_score_fn *score;
    int (*supported)(void);
} dagfm_level;

struct dagfm_model {
    int fields, context, candidates, dimension, layers, outer, mixes, padded;
    size_t field_stride, dimension_stride; /* of a block's states: outer reads [f, d], inner [d, f] */
    float bias;
    const dagfm_level *level;
    dagfm_stored stored;
    const char *embedding_VD;
    size_t row_bytes;
    const float *scale_V;
    int64_t *first_F, *sizes_F;                         /* first row and number of rows of each field */
    float *readout_TF, *connect_FP, *context_p, *context_q; /* context: [L, Fc, D, P], absent edges zero */
    float *connect, *p, *q;                             /* candidates: present edges alone, in reading order */
    void *memory;
};

struct dagfm_work {
    float *base_DP, *state_DP, *messages_LDP, *sums_P; /* context */
    float *rows_FD, *dots_FV;                          /* its embeddings; a register for each of its fields */
    float *base, *state, *dots;                        /* a block of candidates */
    float *room_RD;                                    /* embeddings that are not stored as float, a register's rows */
    int64_t *rows[2];                                  /* [Fx, lanes] of this block and of the next */
    void *memory;
    dagfm_work *next; /* for a caller's list of free work areas */
};

#if defined(__GNUC__)
#define ALWAYS_INLINE __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 8")
#else
#define ALWAYS_INLINE
#define UNROLL
#endif

#define DAGFM_JOIN_AS_IS(a, b) a##_##b
#define DAGFM_JOIN(a, b) DAGFM_JOIN_AS_IS(a, b)

/* Call `function` with a constant as its last argument, so that the compiler unrolls for it: 1 to 4, or 1 to 8. */
#define BY_WIDTH_4(width, function, ...)                                                                               \
    do {                                                                                                               \
        switch (width) {                                                                                               \
        case 1: function(__VA_ARGS__, 1); break;                                                                       \
        case 2: function(__VA_ARGS__, 2); break;                                                                       \
        case 3: function(__VA_ARGS__, 3); break;                                                                       \
        default: function(__VA_ARGS__, 4); break;                                                                      \
        }                                                                                                              \
    } while (0)
#define BY_WIDTH_8(width, function, ...)                                                                               \
    do {                                                                                                               \
        switch (width) {                                                                                               \
        case 5: function(__VA_ARGS__, 5); break;                                                                       \
        case 6: function(__VA_ARGS__, 6); break;                                                                       \
        case 7: function(__VA_ARGS__, 7); break;                                                                       \
        case 8: function(__VA_ARGS__, 8); break;                                                                       \
        default: BY_WIDTH_4(width, function, __VA_ARGS__);                                                             \
        }                                                                                                              \
    } while (0)

/* Edges into `width` targets from `target` on: target + k has target + k + 1 sources. */
static inline size_t dagfm_edges(int target, int width)
{
    return (size_t)width * (size_t)(2 * target + width + 1) / 2;
}

#include "dagfm_rows.h"

/* ------------------------------------------------------------------------------------------------ instruction sets */

#if defined(__GNUC__) && defined(__x86_64__) && !defined(DAGFM_PORTABLE)
__attribute__((target("avx,f16c"))) static inline ALWAYS_INLINE void dagfm_halves_f16c(const uint16_t *from, float *to,
                                                                                        int count)
{
    int d = 0;
    for (; d + 8 <= count; d += 8)
        _mm256_storeu_ps(to + d, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(from + d))));
    dagfm_halves(from + d, to + d, count - d);
}

#define HALVES dagfm_halves_f16c
#define VEC_FLOATS 16
#define TARGET __attribute__((target("avx512f,fma,f16c")))
#define NAME(x) x##_avx512
#define TRANSPOSE dagfm_transpose_16
#define GROUP 8 /* 8 x 2 sums in 32 registers: enough that none is waited for */
#define BY_WIDTH BY_WIDTH_8
#include "dagfm_level.h"
#define HALVES dagfm_halves_f16c
#define VEC_FLOATS 8
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define NAME(x) x##_avx2
#define TRANSPOSE dagfm_transpose_8
#define GROUP 4 /* 4 x 2 sums in 16 registers */
#define BY_WIDTH BY_WIDTH_4
#include "dagfm_level.h"

static int dagfm_has_f16c(void)
{
    unsigned a, b, c, d; /* __builtin_cpu_supports does not know it everywhere */
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("fma");
}
static int dagfm_has_avx512(void) { return __builtin_cpu_supports("avx512f") && dagfm_has_f16c(); }
static int dagfm_has_avx2(void) { return __builtin_cpu_supports("avx2") && dagfm_has_f16c(); }
#define DAGFM_DISPATCHED {"avx512", 16, 8, score_avx512, dagfm_has_avx512}, {"avx2", 8, 4, score_avx2, dagfm_has_avx2},
#else
#define DAGFM_DISPATCHED
#endif

#if defined(__GNUC__) && !defined(DAGFM_PORTABLE)
#define DAGFM_BASELINE 4
#define VEC_FLOATS 4 /* SSE2, NEON */
#define TRANSPOSE dagfm_transpose_4
#else
#define DAGFM_BASELINE 1
#define VEC_FLOATS 1 /* any C compiler */
#define TRANSPOSE dagfm_transpose_1
#endif
#define HALVES dagfm_halves
#define TARGET
#define NAME(x) x##_baseline
#define GROUP 4
#define BY_WIDTH BY_WIDTH_4
#include "dagfm_level.h"

static int dagfm_always(void) { return 1; }

/* Best first. */
static const dagfm_level DAGFM_LEVELS[] = {DAGFM_DISPATCHED{"baseline", DAGFM_BASELINE, 4, score_baseline, dagfm_always}};
#define DAGFM_LEVEL_COUNT (sizeof DAGFM_LEVELS / sizeof *DAGFM_LEVELS)

/* The level of this name, the best one for NULL; NULL if this machine has it not. */
static const dagfm_level *dagfm_find_level(const char *name)
{
    for (size_t i = 0; i < DAGFM_LEVEL_COUNT; i++)
        if (DAGFM_LEVELS[i].supported() && (!name || !strcmp(name, DAGFM_LEVELS[i].name)))
            return &DAGFM_LEVELS[i];
    return NULL;
}

#include "dagfm_build.h"

#endif
