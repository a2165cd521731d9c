/* Everything of one instruction set; included once for each by dagfm_core.h, which defines

       VEC_FLOATS   floats in one register
       TARGET       the attribute that lets a function use them
       NAME(x)      x with the instruction set's name appended
       HALVES       how it turns float16 into float
       TRANSPOSE    how it turns the rows of VEC_FLOATS candidates into registers
       GROUP        targets, or dimensions of one, computed side by side; BY_WIDTH calls for each number of them

   Candidates are processed in blocks of two registers, the last one of one if that is enough, candidates last: a weight is
   broadcast, a register holds one number of VEC_FLOATS candidates, and no sum ever runs across a register. Context
   nodes are few and alone, so there the targets of a message are what a register holds. Lanes beyond the last
   candidate repeat it: they are computed and not stored.

   Shapes: Fc context fields, Fx candidate fields, D, P = all fields padded to whole registers. */

#define FN static inline ALWAYS_INLINE TARGET
#if VEC_FLOATS == 1
typedef float NAME(vec);
#else
typedef float NAME(vec) __attribute__((vector_size(VEC_FLOATS * 4), may_alias));
#endif
#define vec NAME(vec)
#define LOAD(p) (*(const vec *)(p))
#define STORE(p, value) (*(vec *)(p) = (value))
#define BROADCAST(x) ((vec){0} + (x))
#define EACH UNROLL for (int v = 0; v < VECS; v++)

/* The embedding in a row of the table: the table's own memory, or `room` for D numbers if it is stored otherwise. */
FN const float *NAME(embedding)(const dagfm_model *m, int64_t row, float *room, const dagfm_stored as)
{
    const char *stored = m->embedding_VD + (size_t)row * m->row_bytes;
    if (as == DAGFM_FLOAT32)
        return (const float *)stored;
    if (as == DAGFM_FLOAT16)
        HALVES((const uint16_t *)stored, room, m->dimension);
    else {
        const float scale = m->scale_V[row];
        for (int d = 0; d < m->dimension; d++)
            room[d] = (float)((const int8_t *)stored)[d] * scale;
    }
    return room;
}

#include "dagfm_context.h"

#define VECS 2
#include "dagfm_kernel.h"
#define VECS 1
#include "dagfm_kernel.h"

/* Candidates [from, …) of the request: how many their block has, 0 beyond the last. */
FN int NAME(block_of)(int64_t from, int64_t rows)
{
    const int64_t left = rows - from;
    return left <= 0 ? 0 : left < 2 * VEC_FLOATS ? (int)left : 2 * VEC_FLOATS;
}

TARGET static int64_t NAME(score)(const dagfm_model *m, const dagfm_work *w, const int32_t *context_ids,
                                  const int32_t *candidate_ids, int64_t rows, float *logits)
{
    double once;
    dagfm_next next = {candidate_ids, NAME(block_of)(0, rows), 0, w->rows[0]};
    const int64_t first_bad = dagfm_look_ahead(m, &next, 2 * VEC_FLOATS, m->candidates);
    int64_t bad = NAME(run_context)(m, w, context_ids, &once);
    if (bad == DAGFM_OK && first_bad != DAGFM_OK)
        bad = m->context + first_bad;
    for (int64_t n = 0, after; bad == DAGFM_OK && n < rows; n = after) {
        const int block = NAME(block_of)(n, rows);
        const int64_t *found = next.rows;
        after = n + block;
        next = (dagfm_next){candidate_ids + after * m->candidates, NAME(block_of)(after, rows), 0,
                            w->rows[found == w->rows[0]]};
        bad = block > VEC_FLOATS ? DAGFM_JOIN(NAME(block), 2)(m, w, found, &next, (float)once, block, logits + n)
                                 : DAGFM_JOIN(NAME(block), 1)(m, w, found, &next, (float)once, block, logits + n);
        if (bad != DAGFM_OK)
            bad += m->context + after * m->candidates;
    }
    return bad;
}

#undef EACH
#undef BROADCAST
#undef STORE
#undef LOAD
#undef vec
#undef FN
#undef NAME
#undef HALVES
#undef TRANSPOSE
#undef BY_WIDTH
#undef GROUP
#undef TARGET
#undef VEC_FLOATS
