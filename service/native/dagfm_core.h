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
#define DAGFM_GROUP 4       /* targets computed side by side: 4 x 2 accumulators fit the 16 registers of AVX2 */
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
    int vec_floats;
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
    float *base, *state, *dots;                        /* a block of candidates */
    float *rows_4D;                                    /* embeddings that are not stored as float */
    void *memory;
    dagfm_work *next; /* for a caller's list of free work areas */
};

#if defined(__GNUC__)
#define ALWAYS_INLINE __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 4")
#else
#define ALWAYS_INLINE
#define UNROLL
#endif

/* Call `function` with a constant as its last argument, so that the compiler unrolls for it. */
#define BY_WIDTH(width, function, ...)                                                                                 \
    do {                                                                                                               \
        switch (width) {                                                                                               \
        case 1: function(__VA_ARGS__, 1); break;                                                                       \
        case 2: function(__VA_ARGS__, 2); break;                                                                       \
        case 3: function(__VA_ARGS__, 3); break;                                                                       \
        default: function(__VA_ARGS__, 4); break;                                                                      \
        }                                                                                                              \
    } while (0)

/* Edges into `width` targets from `target` on: target + k has target + k + 1 sources. */
static inline size_t dagfm_edges(int target, int width)
{
    return (size_t)width * (size_t)(2 * target + width + 1) / 2;
}

/* The row of the table that an id has, -1 if the field has no such id. */
static inline int64_t dagfm_find(const dagfm_model *m, int field, int32_t id)
{
    return id < 0 || id >= m->sizes_F[field] ? -1 : m->first_F[field] + id;
}

/* The number of a finite float16, to the bit. Both cases are computed and one is taken, so that this is the same few
   instructions for every number, and no float ever is subnormal, which would be slow. */
static inline ALWAYS_INLINE float dagfm_half(uint16_t half)
{
    const uint32_t magnitude = half & 0x7fff, exponents = 127 - 15; /* between the zeros of the two exponents */
    union {
        uint32_t bits;
        float number;
    } value = {(magnitude << 13) + (exponents << 23)}, small = {.number = (float)(int32_t)magnitude * 0x1p-24f};
    value.bits = (magnitude < 0x400 ? small.bits : value.bits) | (uint32_t)(half & 0x8000) << 16;
    return value.number;
}

static inline ALWAYS_INLINE void dagfm_halves(const uint16_t *from, float *to, int count)
{
    for (int d = 0; d < count; d++)
        to[d] = dagfm_half(from[d]);
}

/* to[d, k] = row[k][d]: one number at a time, or 4 x 4 of them in registers. */
static inline void dagfm_transpose_1(const float *const *row, float *to, size_t stride, int dimension)
{
    for (int d = 0; d < dimension; d++)
        to[(size_t)d * stride] = row[0][d];
}

#if defined(__GNUC__)
typedef float dagfm_quad __attribute__((vector_size(16), aligned(4), may_alias));
typedef int32_t dagfm_mask __attribute__((vector_size(16)));
#if defined(__clang__)
#define DAGFM_SHUFFLE(a, b, i, j, k, l) __builtin_shufflevector(a, b, i, j, k, l)
#else
#define DAGFM_SHUFFLE(a, b, i, j, k, l) __builtin_shuffle(a, b, (dagfm_mask){i, j, k, l})
#endif

static inline ALWAYS_INLINE void dagfm_transpose_4(const float *const *row, float *to, size_t stride, int dimension)
{
    int d = 0;
    for (; d + 4 <= dimension; d += 4, to += 4 * stride) {
        const dagfm_quad a = *(const dagfm_quad *)(row[0] + d), b = *(const dagfm_quad *)(row[1] + d);
        const dagfm_quad c = *(const dagfm_quad *)(row[2] + d), e = *(const dagfm_quad *)(row[3] + d);
        const dagfm_quad ab01 = DAGFM_SHUFFLE(a, b, 0, 4, 1, 5), ab23 = DAGFM_SHUFFLE(a, b, 2, 6, 3, 7);
        const dagfm_quad ce01 = DAGFM_SHUFFLE(c, e, 0, 4, 1, 5), ce23 = DAGFM_SHUFFLE(c, e, 2, 6, 3, 7);
        *(dagfm_quad *)to = DAGFM_SHUFFLE(ab01, ce01, 0, 1, 4, 5);
        *(dagfm_quad *)(to + stride) = DAGFM_SHUFFLE(ab01, ce01, 2, 3, 6, 7);
        *(dagfm_quad *)(to + 2 * stride) = DAGFM_SHUFFLE(ab23, ce23, 0, 1, 4, 5);
        *(dagfm_quad *)(to + 3 * stride) = DAGFM_SHUFFLE(ab23, ce23, 2, 3, 6, 7);
    }
    for (; d < dimension; d++, to += stride)
        for (int k = 0; k < 4; k++)
            to[k] = row[k][d];
}
#define DAGFM_TRANSPOSE(step, ...) ((step) == 4 ? dagfm_transpose_4(__VA_ARGS__) : dagfm_transpose_1(__VA_ARGS__))
#else
#define DAGFM_TRANSPOSE(step, ...) dagfm_transpose_1(__VA_ARGS__)
#endif

/* Ask for the embeddings of rows [from, to) ahead of their use; ids that do not exist are skipped. */
static inline void dagfm_prefetch(const dagfm_model *m, const int32_t *ids, int64_t from, int64_t to)
{
#if defined(__GNUC__)
    for (int64_t n = from; n < to; n++)
        for (int f = 0; f < m->candidates; f++) {
            const int64_t row = dagfm_find(m, m->context + f, ids[n * m->candidates + f]);
            if (row < 0)
                continue;
            for (size_t at = 0; at < m->row_bytes; at += DAGFM_ALIGNMENT)
                __builtin_prefetch(m->embedding_VD + (size_t)row * m->row_bytes + at);
            if (m->stored == DAGFM_INT8)
                __builtin_prefetch(m->scale_V + row);
        }
#else
    (void)m, (void)ids, (void)from, (void)to;
#endif
}

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
#include "dagfm_kernel.h"
#define HALVES dagfm_halves_f16c
#define VEC_FLOATS 8
#define TARGET __attribute__((target("avx2,fma,f16c")))
#define NAME(x) x##_avx2
#include "dagfm_kernel.h"

static int dagfm_has_f16c(void)
{
    unsigned a, b, c, d; /* __builtin_cpu_supports does not know it everywhere */
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("fma");
}
static int dagfm_has_avx512(void) { return __builtin_cpu_supports("avx512f") && dagfm_has_f16c(); }
static int dagfm_has_avx2(void) { return __builtin_cpu_supports("avx2") && dagfm_has_f16c(); }
#define DAGFM_DISPATCHED {"avx512", 16, score_avx512, dagfm_has_avx512}, {"avx2", 8, score_avx2, dagfm_has_avx2},
#else
#define DAGFM_DISPATCHED
#endif

#if defined(__GNUC__) && !defined(DAGFM_PORTABLE)
#define DAGFM_BASELINE 4
#define VEC_FLOATS 4 /* SSE2, NEON */
#else
#define DAGFM_BASELINE 1
#define VEC_FLOATS 1 /* any C compiler */
#endif
#define HALVES dagfm_halves
#define TARGET
#define NAME(x) x##_baseline
#include "dagfm_kernel.h"

static int dagfm_always(void) { return 1; }

/* Best first. */
static const dagfm_level DAGFM_LEVELS[] = {DAGFM_DISPATCHED{"baseline", DAGFM_BASELINE, score_baseline, dagfm_always}};
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
