/* The context, once per request; a part of dagfm_level.h. A register holds neighbouring targets of one source.

   Sums over the sources stay in registers: GROUP dimensions of the same targets side by side. */

/* Sources that the targets [s, s + VEC_FLOATS) may have: context fields up to the last of them. */
FN int NAME(sources)(const dagfm_model *m, int s)
{
    return s + VEC_FLOATS < m->context ? s + VEC_FLOATS : m->context;
}

/* targets[d, s] = Σ_f weight[f, d, s] · factor[f, d], for `width` dimensions from d on; strides in floats. A weight that is
   the same for all dimensions has no stride of them. */
FN void NAME(sum_sources)(const float *weight, size_t of_field, size_t of_dimension, const float *factor,
                          size_t factor_of_field, size_t factor_of_dimension, int sources, float *targets, size_t P,
                          const int width)
{
    vec sum[GROUP];
    UNROLL for (int k = 0; k < width; k++)
        sum[k] = BROADCAST(0.0f);
    for (int f = 0; f < sources; f++, weight += of_field, factor += factor_of_field)
        UNROLL for (int k = 0; k < width; k++)
            sum[k] += LOAD(weight + (size_t)k * of_dimension) * factor[(size_t)k * factor_of_dimension];
    UNROLL for (int k = 0; k < width; k++)
        STORE(targets + (size_t)k * P, sum[k]);
}

/* messages [D, P] of a layer: Σ_f p[f, d, s] · h[d, f]. */
FN void NAME(send_inner)(const dagfm_model *m, const float *state_DP, const float *p, float *messages_DP)
{
    const size_t P = (size_t)m->padded, edges = P * (size_t)m->dimension;
    for (int s = 0; s < m->padded; s += VEC_FLOATS)
        for (int d = 0; d < m->dimension; d += GROUP) {
            const int width = m->dimension - d < GROUP ? m->dimension - d : GROUP;
            const size_t at = (size_t)d * P;
            BY_WIDTH(width, NAME(sum_sources), p + at + s, edges, P, state_DP + at, 1, P, NAME(sources)(m, s),
                     messages_DP + at + s, P);
        }
}

/* dots[f] = ⟨h_f, p[f, s]⟩ for the targets from s on. */
FN void NAME(dot_sources)(const dagfm_model *m, const float *state_DP, const float *p, int sources, vec *dots)
{
    const size_t P = (size_t)m->padded;
    for (int f = 0; f < sources; f++, p += P * (size_t)m->dimension) {
        vec even = {0}, odd = {0}; /* apart, so that one addition need not wait for the other */
        int d = 0;
        for (; d + 1 < m->dimension; d += 2) {
            even += LOAD(p + (size_t)d * P) * state_DP[(size_t)d * P + (size_t)f];
            odd += LOAD(p + ((size_t)d + 1) * P) * state_DP[((size_t)d + 1) * P + (size_t)f];
        }
        if (d < m->dimension)
            even += LOAD(p + (size_t)d * P) * state_DP[(size_t)d * P + (size_t)f];
        dots[f] = even + odd;
    }
}

/* targets[d, s] = Σ_f q[f, d, s] · dots[f, s], for `width` dimensions. */
FN void NAME(spread_sources)(const vec *dots, const float *q, size_t of_field, int sources, float *targets, size_t P,
                             const int width)
{
    vec sum[GROUP];
    UNROLL for (int k = 0; k < width; k++)
        sum[k] = BROADCAST(0.0f);
    for (int f = 0; f < sources; f++, q += of_field)
        UNROLL for (int k = 0; k < width; k++)
            sum[k] += LOAD(q + (size_t)k * P) * dots[f];
    UNROLL for (int k = 0; k < width; k++)
        STORE(targets + (size_t)k * P, sum[k]);
}

/* messages [D, P] of a layer: Σ_f ⟨h_f, p[f, s]⟩ · q[f, d, s]; dots is scratch of Fc registers. */
FN void NAME(send_outer)(const dagfm_model *m, const float *state_DP, const float *p, const float *q, vec *dots,
                         float *messages_DP)
{
    const size_t P = (size_t)m->padded, edges = P * (size_t)m->dimension;
    for (int s = 0; s < m->padded; s += VEC_FLOATS) {
        const int sources = NAME(sources)(m, s);
        NAME(dot_sources)(m, state_DP, p + s, sources, dots);
        for (int d = 0; d < m->dimension; d += GROUP) {
            const int width = m->dimension - d < GROUP ? m->dimension - d : GROUP;
            const size_t at = (size_t)d * P + (size_t)s;
            BY_WIDTH(width, NAME(spread_sources), dots, q + at, edges, sources, messages_DP + at, P);
        }
    }
}

/* Σ_f w_f Σ_d state[d, f] over the context fields; sums_P is scratch. */
FN double NAME(read_context)(const dagfm_model *m, const float *state_DP, const float *readout_F, float *sums_P)
{
    const int P = m->padded;
    double sum = 0;
    for (int s = 0; s < m->context; s += VEC_FLOATS) {
        vec total = {0};
        for (int d = 0; d < m->dimension; d++)
            total += LOAD(state_DP + d * P + s);
        STORE(sums_P + s, total);
    }
    for (int f = 0; f < m->context; f++)
        sum += (double)readout_F[f] * sums_P[f];
    return sum;
}

/* h^1 of the context, and in the candidates' columns what the connection carries to them: base [D, P]. */
FN int64_t NAME(embed_context)(const dagfm_model *m, const int32_t *ids, float *base_DP, float *rows_FD)
{
    const size_t P = (size_t)m->padded, D = (size_t)m->dimension;
    for (int f = 0; f < m->context; f++) {
        const int64_t found = dagfm_find(m, f, ids[f]);
        if (found < 0)
            return f;
        float *room = rows_FD + (size_t)f * D;
        const float *row = NAME(embedding)(m, found, room, m->stored);
        if (row != room)
            memcpy(room, row, D * sizeof(float));
    }
    for (int s = 0; s < m->padded; s += VEC_FLOATS)
        for (int d = 0; d < m->dimension; d += GROUP) {
            const int width = m->dimension - d < GROUP ? m->dimension - d : GROUP;
            BY_WIDTH(width, NAME(sum_sources), m->connect_FP + s, P, 0, rows_FD + d, D, 1, NAME(sources)(m, s),
                     base_DP + (size_t)d * P + (size_t)s, P);
        }
    return DAGFM_OK;
}

/* Everything that the context alone decides: base [D, P] and messages [L, D, P], whose candidate columns the blocks
   read, and the context's share of the logit. */
FN int64_t NAME(run_context)(const dagfm_model *m, const dagfm_work *w, const int32_t *ids, double *logit)
{
    const size_t P = (size_t)m->padded, D = (size_t)m->dimension, edges = P * D;
    const int64_t bad = NAME(embed_context)(m, ids, w->base_DP, w->rows_FD);
    if (bad != DAGFM_OK)
        return bad;
    *logit = m->bias + NAME(read_context)(m, w->base_DP, m->readout_TF, w->sums_P);
    const float *state_DP = w->base_DP;
    for (int layer = 0; layer < m->layers; layer++) {
        const size_t at = (size_t)layer * (size_t)m->context * edges;
        float *messages_DP = w->messages_LDP + (size_t)layer * edges;
        if (m->outer)
            NAME(send_outer)(m, state_DP, m->context_p + at, m->context_q + at, (vec *)w->dots_FV, messages_DP);
        else
            NAME(send_inner)(m, state_DP, m->context_p + at, messages_DP);
        for (size_t i = 0; i < edges && m->context; i += VEC_FLOATS)
            STORE(w->state_DP + i, LOAD(w->base_DP + i) * LOAD(messages_DP + i));
        state_DP = w->state_DP;
        *logit += NAME(read_context)(m, state_DP, m->readout_TF + (size_t)(layer + 1) * (size_t)m->fields, w->sums_P);
    }
    return DAGFM_OK;
}
