/* Rows of the embedding table: found, asked for ahead, converted, transposed; a part of dagfm_core.h. */

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
#endif

/* to[d, k] = row[k][d] for as many rows as a register has floats: four rows in each quarter of it, then 4 x 4 within. */
#if defined(__GNUC__) && defined(__x86_64__) && !defined(DAGFM_PORTABLE)
__attribute__((target("avx512f"))) static inline ALWAYS_INLINE void dagfm_transpose_16(const float *const *row, float *to,
                                                                                      size_t stride, int dimension)
{
    int d = 0;
    for (; d + 4 <= dimension; d += 4, to += 4 * stride) {
        __m512 x[4];
        UNROLL for (int k = 0; k < 4; k++)
        {
            x[k] = _mm512_castps128_ps512(_mm_loadu_ps(row[k] + d));
            x[k] = _mm512_insertf32x4(x[k], _mm_loadu_ps(row[k + 4] + d), 1);
            x[k] = _mm512_insertf32x4(x[k], _mm_loadu_ps(row[k + 8] + d), 2);
            x[k] = _mm512_insertf32x4(x[k], _mm_loadu_ps(row[k + 12] + d), 3);
        }
        const __m512 low01 = _mm512_unpacklo_ps(x[0], x[1]), high01 = _mm512_unpackhi_ps(x[0], x[1]);
        const __m512 low23 = _mm512_unpacklo_ps(x[2], x[3]), high23 = _mm512_unpackhi_ps(x[2], x[3]);
        _mm512_storeu_ps(to, _mm512_shuffle_ps(low01, low23, 0x44));
        _mm512_storeu_ps(to + stride, _mm512_shuffle_ps(low01, low23, 0xee));
        _mm512_storeu_ps(to + 2 * stride, _mm512_shuffle_ps(high01, high23, 0x44));
        _mm512_storeu_ps(to + 3 * stride, _mm512_shuffle_ps(high01, high23, 0xee));
    }
    for (; d < dimension; d++, to += stride)
        for (int k = 0; k < 16; k++)
            to[k] = row[k][d];
}

__attribute__((target("avx2"))) static inline ALWAYS_INLINE void dagfm_transpose_8(const float *const *row, float *to,
                                                                                  size_t stride, int dimension)
{
    int d = 0;
    for (; d + 4 <= dimension; d += 4, to += 4 * stride) {
        __m256 x[4];
        UNROLL for (int k = 0; k < 4; k++)
            x[k] = _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(row[k] + d)), _mm_loadu_ps(row[k + 4] + d), 1);
        const __m256 low01 = _mm256_unpacklo_ps(x[0], x[1]), high01 = _mm256_unpackhi_ps(x[0], x[1]);
        const __m256 low23 = _mm256_unpacklo_ps(x[2], x[3]), high23 = _mm256_unpackhi_ps(x[2], x[3]);
        _mm256_storeu_ps(to, _mm256_shuffle_ps(low01, low23, 0x44));
        _mm256_storeu_ps(to + stride, _mm256_shuffle_ps(low01, low23, 0xee));
        _mm256_storeu_ps(to + 2 * stride, _mm256_shuffle_ps(high01, high23, 0x44));
        _mm256_storeu_ps(to + 3 * stride, _mm256_shuffle_ps(high01, high23, 0xee));
    }
    for (; d < dimension; d++, to += stride)
        for (int k = 0; k < 8; k++)
            to[k] = row[k][d];
}
#endif

#if defined(__GNUC__)
#define DAGFM_PREFETCH(at) __builtin_prefetch(at)
#else
#define DAGFM_PREFETCH(at) ((void)(at))
#endif

/* The rows of field f of `count` candidates into rows[lanes], asked for ahead of their use; lanes beyond the last candidate
   get its row. DAGFM_OK, or the position of the first candidate whose id the field does not have. */
static inline int64_t dagfm_locate(const dagfm_model *m, const int32_t *ids, int f, int count, int lanes, int64_t *rows)
{
    const int64_t first = m->first_F[m->context + f], size = m->sizes_F[m->context + f], step = m->candidates;
    const size_t row_bytes = m->row_bytes;
    const char *table = m->embedding_VD;
    ids += f;
    for (int n = 0; n < count; n++) {
        const int64_t id = ids[n * step];
        if (id < 0 || id >= size)
            return n;
        rows[n] = first + id;
        DAGFM_PREFETCH(table + (size_t)rows[n] * row_bytes);
    }
    for (size_t at = DAGFM_ALIGNMENT; at < row_bytes; at += DAGFM_ALIGNMENT)
        for (int n = 0; n < count; n++)
            DAGFM_PREFETCH(table + (size_t)rows[n] * row_bytes + at);
    for (int n = 0; m->stored == DAGFM_INT8 && n < count; n++)
        DAGFM_PREFETCH(m->scale_V + rows[n]);
    for (int n = count; n < lanes; n++)
        rows[n] = rows[count - 1];
    return DAGFM_OK;
}

/* The block after the one that is computed: its candidates, and how many of its fields are located. */
typedef struct {
    const int32_t *ids;
    int count, field;
    int64_t *rows; /* [Fx, lanes] */
} dagfm_next;

/* Locate up to `fields` more fields; DAGFM_OK, or the place of a bad id in the block, n·Fx + f. */
static inline int64_t dagfm_look_ahead(const dagfm_model *m, dagfm_next *next, int lanes, int fields)
{
    for (; next->count && fields > 0 && next->field < m->candidates; fields--, next->field++) {
        int64_t *rows = next->rows + (int64_t)next->field * lanes;
        const int64_t bad = dagfm_locate(m, next->ids, next->field, next->count, lanes, rows);
        if (bad != DAGFM_OK)
            return bad * m->candidates + next->field;
    }
    return DAGFM_OK;
}
