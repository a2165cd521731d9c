/* The arithmetic of one instruction set; included once for each by dagfm_core.h, which defines

       VEC_FLOATS   floats in one register
       TARGET       the attribute that lets a function use them
       NAME(x)      x with the instruction set's name appended
       HALVES       how it turns float16 into float

   Candidates are processed in blocks of LANES, candidates last: a weight is broadcast, a register holds one number of
   VEC_FLOATS candidates, and no sum ever runs across a register. Context nodes are few and alone, so there the
   targets of a message are what a register holds. Lanes beyond the last candidate keep what an earlier block left:
   they are computed and not stored.

   Shapes: Fc context fields, Fx candidate fields, D, P = all fields padded to whole registers. */

#define LANES (2 * VEC_FLOATS)
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

/* ---------------------------------------------------------------------------------- one block of LANES candidates */

/* Rows of the embedding table, candidates last: state[f, d, n] = table[id[n, f], d]. */
FN int64_t NAME(gather)(const dagfm_model *m, const int32_t *ids, int rows, float *state, float *room_4D,
                        const dagfm_stored as)
{
    enum { step = LANES < 4 ? 1 : 4 };
    const int Fx = m->candidates;
    const size_t stride = m->dimension_stride * LANES;
    for (int f = 0; f < Fx; f++) {
        float *to = state + (size_t)f * m->field_stride * LANES;
        for (int n = 0; n < rows; n += step) {
            const float *row[step];
            for (int k = 0; k < step; k++) {
                const int candidate = n + k < rows ? n + k : rows - 1;
                const int64_t found = dagfm_find(m, m->context + f, ids[candidate * Fx + f]);
                if (found < 0)
                    return (int64_t)candidate * Fx + f;
                row[k] = NAME(embedding)(m, found, room_4D + (size_t)k * (size_t)m->dimension, as);
            }
            DAGFM_TRANSPOSE(step, row, to + n, stride, m->dimension);
        }
    }
    return DAGFM_OK;
}

/* sum[k] += Σ_{f ≤ target + k} state[f] · weight, for `width` neighbouring targets at once. */
FN void NAME(collect)(const vec *state, size_t stride, const float *weight, int target, vec sum[DAGFM_GROUP][2],
                      const int width)
{
    for (int f = 0; f <= target; f++, weight += width) {
        const vec x0 = state[0], x1 = state[1];
        UNROLL for (int k = 0; k < width; k++) {
            sum[k][0] += x0 * weight[k];
            sum[k][1] += x1 * weight[k];
        }
        state += stride;
    }
    UNROLL for (int j = 1; j < width; j++) {
        const vec x0 = state[0], x1 = state[1];
        UNROLL for (int k = j; k < width; k++, weight++) {
            sum[k][0] += x0 * weight[0];
            sum[k][1] += x1 * weight[0];
        }
        state += stride;
    }
}

/* One group of targets of an inner layer, or of the connection when `logit` is NULL. */
FN void NAME(group_inner)(const dagfm_model *m, const float *weight, const float *once_DP, const vec *base,
                          const vec *from, vec *to, const float *readout, vec *logit, int target, const int width)
{
    const size_t field = 2 * m->field_stride, dimension = 2 * m->dimension_stride;
    const size_t edges = logit ? dagfm_edges(target, width) : 0; /* the connection has one weight for every d */
    for (int d = 0; d < m->dimension; d++) {
        vec sum[DAGFM_GROUP][2];
        UNROLL for (int k = 0; k < width; k++)
            sum[k][0] = sum[k][1] = BROADCAST(once_DP[(size_t)d * (size_t)m->padded + (size_t)k]);
        NAME(collect)(from + (size_t)d * dimension, field, weight + (size_t)d * edges, target, sum, width);
        UNROLL for (int k = 0; k < width; k++) {
            const size_t at = (size_t)(target + k) * field + (size_t)d * dimension;
            if (logit) {
                sum[k][0] *= base[at];
                sum[k][1] *= base[at + 1];
                logit[0] += sum[k][0] * readout[k];
                logit[1] += sum[k][1] * readout[k];
            }
            to[at] = sum[k][0];
            to[at + 1] = sum[k][1];
        }
    }
}

/* dots[k, f] = ⟨state_f, p[f, target + k]⟩ for one source and `width` targets. */
FN void NAME(dot)(const vec *state, const float *p, vec *dots, size_t stride, int dimension, const int width)
{
    vec sum[DAGFM_GROUP][2];
    UNROLL for (int k = 0; k < width; k++)
        sum[k][0] = sum[k][1] = BROADCAST(0.0f);
    for (int d = 0; d < dimension; d++, p += width, state += 2)
        UNROLL for (int k = 0; k < width; k++) {
            sum[k][0] += state[0] * p[k];
            sum[k][1] += state[1] * p[k];
        }
    UNROLL for (int k = 0; k < width; k++) {
        dots[(size_t)k * stride] = sum[k][0];
        dots[(size_t)k * stride + 1] = sum[k][1];
    }
}

/* h'[d..d+width] of one target from its dots with `sources` fields; returns them summed over d in total. */
FN void NAME(spread)(const vec *dots, int sources, const float *q, const float *once, size_t once_stride,
                     const vec *base, vec *to, vec total[2], const int width)
{
    vec sum[DAGFM_GROUP][2];
    UNROLL for (int k = 0; k < width; k++)
        sum[k][0] = sum[k][1] = BROADCAST(once[(size_t)k * once_stride]);
    for (int f = 0; f < sources; f++, q += width, dots += 2)
        UNROLL for (int k = 0; k < width; k++) {
            sum[k][0] += dots[0] * q[k];
            sum[k][1] += dots[1] * q[k];
        }
    UNROLL for (int k = 0; k < width; k++) {
        total[0] += to[2 * k] = sum[k][0] * base[2 * k];
        total[1] += to[2 * k + 1] = sum[k][1] * base[2 * k + 1];
    }
}

/* One group of targets of an outer layer. */
FN void NAME(group_outer)(const dagfm_model *m, const float *p, const float *q, const float *once_DP, const vec *base,
                          const vec *from, vec *to, vec *dots, const float *readout, vec *logit, int target, int width)
{
    const int D = m->dimension;
    const size_t stride = 2 * (size_t)m->candidates, P = (size_t)m->padded;
    for (int f = 0; f < target + width; f++) {
        const int first = f > target ? f - target : 0;
        vec *out = dots + (size_t)first * stride + 2 * (size_t)f;
        BY_WIDTH(width - first, NAME(dot), from + 2 * (size_t)f * (size_t)D, p, out, stride, D);
        p += (size_t)(width - first) * (size_t)D;
    }
    for (int k = 0; k < width; k++) {
        const int sources = target + k + 1;
        const size_t at = 2 * (size_t)(target + k) * (size_t)D;
        vec total[2] = {BROADCAST(0.0f), BROADCAST(0.0f)};
        for (int d = 0; d < D; d += DAGFM_GROUP) {
            const int part = D - d < DAGFM_GROUP ? D - d : DAGFM_GROUP;
            BY_WIDTH(part, NAME(spread), dots + (size_t)k * stride, sources, q, once_DP + (size_t)d * P + (size_t)k, P,
                     base + at + 2 * (size_t)d, to + at + 2 * (size_t)d, total);
            q += (size_t)sources * (size_t)part;
        }
        logit[0] += total[0] * readout[k];
        logit[1] += total[1] * readout[k];
    }
}

/* All groups, the highest targets first: they read lower fields only, so the states may be replaced in place. */
FN void NAME(layer)(const dagfm_model *m, const dagfm_work *w, int layer, const vec *from, vec *to, vec *logit)
{
    const vec *base = (const vec *)w->base;
    const size_t edges = dagfm_edges(0, m->candidates) * (size_t)m->dimension;
    const float *p = m->p + (size_t)layer * edges, *q = m->outer ? m->q + (size_t)layer * edges : NULL;
    const float *once = w->messages_LDP + (size_t)layer * (size_t)m->dimension * (size_t)m->padded + m->context;
    const float *readout = m->readout_TF + (size_t)(layer + 1) * (size_t)m->fields + m->context;
    for (int s = (m->candidates - 1) / DAGFM_GROUP * DAGFM_GROUP; s >= 0; s -= DAGFM_GROUP) {
        const int width = m->candidates - s < DAGFM_GROUP ? m->candidates - s : DAGFM_GROUP;
        const size_t at = dagfm_edges(0, s) * (size_t)m->dimension;
        if (m->outer)
            NAME(group_outer)(m, p + at, q + at, once + s, base, from, to, (vec *)w->dots, readout + s, logit, s, width);
        else
            BY_WIDTH(width, NAME(group_inner), m, p + at, once + s, base, from, to, readout + s, logit, s);
    }
}

/* h^1 of the block: rows gathered, then mixed by the connection unless that is the identity. */
FN int64_t NAME(embed)(const dagfm_model *m, const dagfm_work *w, const int32_t *ids, int rows, vec *logit)
{
    const int64_t bad = m->stored == DAGFM_FLOAT32   ? NAME(gather)(m, ids, rows, w->base, w->rows_4D, DAGFM_FLOAT32)
                        : m->stored == DAGFM_FLOAT16 ? NAME(gather)(m, ids, rows, w->base, w->rows_4D, DAGFM_FLOAT16)
                                                     : NAME(gather)(m, ids, rows, w->base, w->rows_4D, DAGFM_INT8);
    vec *base = (vec *)w->base;
    if (bad != DAGFM_OK)
        return bad;
    for (int s = (m->candidates - 1) / DAGFM_GROUP * DAGFM_GROUP; m->mixes && s >= 0; s -= DAGFM_GROUP) {
        const int width = m->candidates - s < DAGFM_GROUP ? m->candidates - s : DAGFM_GROUP;
        const float *weight = m->connect + dagfm_edges(0, s), *once = w->base_DP + m->context + s;
        BY_WIDTH(width, NAME(group_inner), m, weight, once, base, base, base, NULL, NULL, s);
    }
    for (int f = 0; f < m->candidates; f++)
        for (int d = 0; d < m->dimension; d++) {
            const size_t at = 2 * ((size_t)f * m->field_stride + (size_t)d * m->dimension_stride);
            logit[0] += base[at] * m->readout_TF[m->context + f];
            logit[1] += base[at + 1] * m->readout_TF[m->context + f];
        }
    return DAGFM_OK;
}

TARGET static int64_t NAME(score)(const dagfm_model *m, const dagfm_work *w, const int32_t *context_ids,
                                  const int32_t *candidate_ids, int64_t rows, float *logits)
{
    double once;
    int64_t bad = NAME(run_context)(m, w, context_ids, &once);
    if (bad != DAGFM_OK)
        return bad;
    for (int64_t n = 0; n < rows; n += LANES) {
        const int block = rows - n < LANES ? (int)(rows - n) : LANES;
        vec logit[2] = {BROADCAST((float)once), BROADCAST((float)once)};
        dagfm_prefetch(m, candidate_ids, n + LANES, rows - n - LANES < LANES ? rows : n + 2 * LANES);
        bad = NAME(embed)(m, w, candidate_ids + n * m->candidates, block, logit);
        if (bad != DAGFM_OK)
            return m->context + n * m->candidates + bad;
        const vec *from = (const vec *)w->base;
        for (int layer = 0; layer < m->layers; layer++, from = (const vec *)w->state)
            NAME(layer)(m, w, layer, from, (vec *)w->state, logit);
        memcpy(logits + n, logit, (size_t)block * sizeof(float));
    }
    return DAGFM_OK;
}

#undef BROADCAST
#undef STORE
#undef LOAD
#undef vec
#undef FN
#undef LANES
#undef NAME
#undef HALVES
#undef TARGET
#undef VEC_FLOATS
