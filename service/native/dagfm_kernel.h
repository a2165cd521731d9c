/* One block of candidates, VECS registers wide; included by dagfm_level.h for each width. State arrays are [Fx, D] of
   blocks (outer) or [D, Fx] (inner); located rows are [Fx, 2 * VEC_FLOATS] whatever the width. */
#define LANES (VECS * VEC_FLOATS)
#define BLOCK(x) DAGFM_JOIN(NAME(x), VECS)

/* Embeddings of the located rows [Fx, lanes], candidates last: state[f, d, n]. */
FN void BLOCK(gather)(const dagfm_model *m, const int64_t *rows, float *state, float *room_RD, const dagfm_stored as)
{
    const size_t stride = m->dimension_stride * LANES, D = (size_t)m->dimension;
    for (int f = 0; f < m->candidates; f++, rows += 2 * VEC_FLOATS)
        for (int n = 0; n < LANES; n += VEC_FLOATS) {
            const float *row[VEC_FLOATS];
            for (int k = 0; k < VEC_FLOATS; k++)
                row[k] = NAME(embedding)(m, rows[n + k], room_RD + (size_t)k * D, as);
            TRANSPOSE(row, state + (size_t)f * m->field_stride * LANES + n, stride, m->dimension);
        }
}

/* sum[k] += Σ_{f ≤ target + k} state[f] · weight, for `width` neighbouring targets at once. */
FN void BLOCK(collect)(const vec *state, size_t stride, const float *weight, int target, vec sum[GROUP][VECS],
                      const int width)
{
    for (int f = 0; f <= target; f++, weight += width) {
        UNROLL for (int k = 0; k < width; k++)
            EACH sum[k][v] += state[v] * weight[k];
        state += stride;
    }
    UNROLL for (int j = 1; j < width; j++) {
        UNROLL for (int k = j; k < width; k++, weight++)
            EACH sum[k][v] += state[v] * weight[0];
        state += stride;
    }
}

/* One group of targets of an inner layer, or of the connection when `logit` is NULL. */
FN void BLOCK(group_inner)(const dagfm_model *m, const float *weight, const float *once_DP, const vec *base,
                          const vec *from, vec *to, const float *readout, vec *logit, int target, const int width)
{
    const size_t field = VECS * m->field_stride, dimension = VECS * m->dimension_stride;
    const size_t edges = logit ? dagfm_edges(target, width) : 0; /* the connection has one weight for every d */
    for (int d = 0; d < m->dimension; d++) {
        vec sum[GROUP][VECS];
        UNROLL for (int k = 0; k < width; k++)
            EACH sum[k][v] = BROADCAST(once_DP[(size_t)d * (size_t)m->padded + (size_t)k]);
        BLOCK(collect)(from + (size_t)d * dimension, field, weight + (size_t)d * edges, target, sum, width);
        vec read[VECS];
        EACH read[v] = BROADCAST(0.0f);
        UNROLL for (int k = 0; k < width; k++) {
            const size_t at = (size_t)(target + k) * field + (size_t)d * dimension;
            EACH {
                if (logit) {
                    sum[k][v] *= base[at + (size_t)v];
                    read[v] += sum[k][v] * readout[k];
                }
                to[at + (size_t)v] = sum[k][v];
            }
        }
        EACH if (logit) logit[v] += read[v]; /* one addition per dimension: a longer chain would be waited for */
    }
}

/* dots[k, f] = ⟨state_f, p[f, target + k]⟩ for one source and `width` targets. */
FN void BLOCK(dot)(const vec *state, const float *p, vec *dots, size_t stride, int dimension, const int width)
{
    vec sum[GROUP][VECS];
    UNROLL for (int k = 0; k < width; k++)
        EACH sum[k][v] = BROADCAST(0.0f);
    for (int d = 0; d < dimension; d++, p += width, state += VECS)
        UNROLL for (int k = 0; k < width; k++)
            EACH sum[k][v] += state[v] * p[k];
    UNROLL for (int k = 0; k < width; k++)
        EACH dots[(size_t)k * stride + (size_t)v] = sum[k][v];
}

/* h'[d..d+width] of one target from its dots with `sources` fields; returns them summed over d in total. */
FN void BLOCK(spread)(const vec *dots, int sources, const float *q, const float *once, size_t once_stride,
                     const vec *base, vec *to, vec total[VECS], const int width)
{
    vec sum[GROUP][VECS];
    UNROLL for (int k = 0; k < width; k++)
        EACH sum[k][v] = BROADCAST(once[(size_t)k * once_stride]);
    for (int f = 0; f < sources; f++, q += width, dots += VECS)
        UNROLL for (int k = 0; k < width; k++)
            EACH sum[k][v] += dots[v] * q[k];
    UNROLL for (int k = 0; k < width; k++)
        EACH to[VECS * k + v] = sum[k][v] *= base[VECS * k + v];
    UNROLL for (int k = 1; k < width; k++)
        EACH sum[0][v] += sum[k][v]; /* apart from the total: a longer chain would be waited for */
    EACH total[v] += sum[0][v];
}

/* One group of targets of an outer layer. */
FN void BLOCK(group_outer)(const dagfm_model *m, const float *p, const float *q, const float *once_DP, const vec *base,
                          const vec *from, vec *to, vec *dots, const float *readout, vec *logit, int target, int width)
{
    const int D = m->dimension;
    const size_t stride = VECS * (size_t)m->candidates, P = (size_t)m->padded;
    for (int f = 0; f < target + width; f++) {
        const int first = f > target ? f - target : 0;
        vec *out = dots + (size_t)first * stride + VECS * (size_t)f;
        BY_WIDTH(width - first, BLOCK(dot), from + VECS * (size_t)f * (size_t)D, p, out, stride, D);
        p += (size_t)(width - first) * (size_t)D;
    }
    for (int k = 0; k < width; k++) {
        const int sources = target + k + 1;
        const size_t at = VECS * (size_t)(target + k) * (size_t)D;
        vec total[VECS];
        EACH total[v] = BROADCAST(0.0f);
        for (int d = 0; d < D; d += GROUP) {
            const int part = D - d < GROUP ? D - d : GROUP;
            BY_WIDTH(part, BLOCK(spread), dots + (size_t)k * stride, sources, q, once_DP + (size_t)d * P + (size_t)k, P,
                     base + at + VECS * (size_t)d, to + at + VECS * (size_t)d, total);
            q += (size_t)sources * (size_t)part;
        }
        EACH logit[v] += total[v] * readout[k];
    }
}

/* All groups, the highest targets first: they read lower fields only, so the states may be replaced in place. */
FN void BLOCK(layer)(const dagfm_model *m, const dagfm_work *w, int layer, const vec *from, vec *to, vec *logit)
{
    const vec *base = (const vec *)w->base;
    const size_t edges = dagfm_edges(0, m->candidates) * (size_t)m->dimension;
    const float *p = m->p + (size_t)layer * edges, *q = m->outer ? m->q + (size_t)layer * edges : NULL;
    const float *once = w->messages_LDP + (size_t)layer * (size_t)m->dimension * (size_t)m->padded + m->context;
    const float *readout = m->readout_TF + (size_t)(layer + 1) * (size_t)m->fields + m->context;
    for (int s = (m->candidates - 1) / GROUP * GROUP; s >= 0; s -= GROUP) {
        const int width = m->candidates - s < GROUP ? m->candidates - s : GROUP;
        const size_t at = dagfm_edges(0, s) * (size_t)m->dimension;
        if (m->outer)
            BLOCK(group_outer)(m, p + at, q + at, once + s, base, from, to, (vec *)w->dots, readout + s, logit, s, width);
        else
            BY_WIDTH(width, BLOCK(group_inner), m, p + at, once + s, base, from, to, readout + s, logit, s);
    }
}

/* h^1 of the block: rows gathered, then mixed by the connection unless that is the identity. */
FN void BLOCK(embed)(const dagfm_model *m, const dagfm_work *w, const int64_t *rows, vec *logit)
{
    vec *base = (vec *)w->base;
    const size_t field = VECS * m->field_stride, dimension = VECS * m->dimension_stride;
    if (m->stored == DAGFM_FLOAT32)
        BLOCK(gather)(m, rows, w->base, w->room_RD, DAGFM_FLOAT32);
    else if (m->stored == DAGFM_FLOAT16)
        BLOCK(gather)(m, rows, w->base, w->room_RD, DAGFM_FLOAT16);
    else
        BLOCK(gather)(m, rows, w->base, w->room_RD, DAGFM_INT8);
    for (int s = (m->candidates - 1) / GROUP * GROUP; m->mixes && s >= 0; s -= GROUP) {
        const int width = m->candidates - s < GROUP ? m->candidates - s : GROUP;
        const float *weight = m->connect + dagfm_edges(0, s), *once = w->base_DP + m->context + s;
        BY_WIDTH(width, BLOCK(group_inner), m, weight, once, base, base, base, NULL, NULL, s);
    }
    for (int f = 0; f < m->candidates; f++, base += field)
        EACH {
            vec even = BROADCAST(0.0f), odd = even; /* apart, so that one addition need not wait for the other */
            int d = 0;
            for (; d + 1 < m->dimension; d += 2) {
                even += base[(size_t)d * dimension + (size_t)v];
                odd += base[((size_t)d + 1) * dimension + (size_t)v];
            }
            if (d < m->dimension)
                even += base[(size_t)d * dimension + (size_t)v];
            logit[v] += (even + odd) * m->readout_TF[m->context + f];
        }
}

/* Logits of one block whose rows are located, while the next one's are looked for: a part of its fields after every
   layer, so that what has to come from memory comes while there is something to compute. DAGFM_OK, or the place of a bad
   id in the next block. */
TARGET static int64_t BLOCK(block)(const dagfm_model *m, const dagfm_work *w, const int64_t *rows, dagfm_next *next,
                                   float once, int count, float *logits)
{
    vec logit[VECS];
    const int part = (m->candidates + m->layers) / (m->layers + 1);
    EACH logit[v] = BROADCAST(once);
    BLOCK(embed)(m, w, rows, logit);
    int64_t bad = dagfm_look_ahead(m, next, 2 * VEC_FLOATS, part);
    const vec *from = (const vec *)w->base;
    for (int layer = 0; bad == DAGFM_OK && layer < m->layers; layer++, from = (const vec *)w->state) {
        BLOCK(layer)(m, w, layer, from, (vec *)w->state, logit);
        bad = dagfm_look_ahead(m, next, 2 * VEC_FLOATS, part);
    }
    memcpy(logits, logit, (size_t)count * sizeof(float));
    return bad;
}

#undef BLOCK
#undef LANES
#undef VECS
