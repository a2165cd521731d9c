/* The context, once per request; a part of dagfm_kernel.h. A register holds neighbouring targets of one source. */

/* Add to targets_DP what the states of context field f send along the weights p [D, P] (and q [D, P]). */
FN void NAME(send_inner)(const dagfm_model *m, int f, const float *state_DP, const float *p, float *targets_DP)
{
    const int P = m->padded;
    for (int d = 0; d < m->dimension; d++) {
        const float h = state_DP[d * P + f];
        for (int s = f - f % VEC_FLOATS; s < P; s += VEC_FLOATS)
            STORE(targets_DP + d * P + s, LOAD(targets_DP + d * P + s) + LOAD(p + d * P + s) * h);
    }
}

FN void NAME(send_outer)(const dagfm_model *m, int f, const float *state_DP, const float *p, const float *q,
                         float *targets_DP)
{
    const int P = m->padded, D = m->dimension;
    for (int s = f - f % VEC_FLOATS; s < P; s += VEC_FLOATS) {
        vec even = {0}, odd = {0};
        int d = 0;
        for (; d + 1 < D; d += 2) {
            even += LOAD(p + d * P + s) * state_DP[d * P + f];
            odd += LOAD(p + (d + 1) * P + s) * state_DP[(d + 1) * P + f];
        }
        if (d < D)
            even += LOAD(p + d * P + s) * state_DP[d * P + f];
        const vec dot = even + odd;
        for (d = 0; d < D; d++)
            STORE(targets_DP + d * P + s, LOAD(targets_DP + d * P + s) + LOAD(q + d * P + s) * dot);
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
FN int64_t NAME(embed_context)(const dagfm_model *m, const int32_t *ids, float *base_DP, float *room)
{
    const int P = m->padded, D = m->dimension;
    for (int f = 0; f < m->context; f++) {
        const int64_t found = dagfm_find(m, f, ids[f]);
        if (found < 0)
            return f;
        const float *row = NAME(embedding)(m, found, room, m->stored);
        const float *mix_P = m->connect_FP + f * P;
        for (int d = 0; d < D; d++)
            for (int s = f - f % VEC_FLOATS; s < P; s += VEC_FLOATS)
                STORE(base_DP + d * P + s, LOAD(base_DP + d * P + s) + LOAD(mix_P + s) * row[d]);
    }
    return DAGFM_OK;
}

/* Everything that the context alone decides: base [D, P] and messages [L, D, P], whose candidate columns the blocks
   read, and the context's share of the logit. */
FN int64_t NAME(run_context)(const dagfm_model *m, const dagfm_work *w, const int32_t *ids, double *logit)
{
    const size_t P = (size_t)m->padded, D = (size_t)m->dimension, edges = P * D;
    memset(w->base_DP, 0, edges * sizeof(float));
    memset(w->messages_LDP, 0, (size_t)m->layers * edges * sizeof(float));
    const int64_t bad = NAME(embed_context)(m, ids, w->base_DP, w->rows_4D);
    if (bad != DAGFM_OK)
        return bad;
    *logit = m->bias + NAME(read_context)(m, w->base_DP, m->readout_TF, w->sums_P);
    const float *state_DP = w->base_DP;
    for (int layer = 0; layer < m->layers; layer++) {
        float *targets_DP = w->messages_LDP + (size_t)layer * edges;
        for (int f = 0; f < m->context; f++) {
            const size_t at = ((size_t)layer * (size_t)m->context + (size_t)f) * edges;
            if (m->outer)
                NAME(send_outer)(m, f, state_DP, m->context_p + at, m->context_q + at, targets_DP);
            else
                NAME(send_inner)(m, f, state_DP, m->context_p + at, targets_DP);
        }
        for (size_t i = 0; i < edges && m->context; i += VEC_FLOATS)
            STORE(w->state_DP + i, LOAD(w->base_DP + i) * LOAD(targets_DP + i));
        state_DP = w->state_DP;
        *logit += NAME(read_context)(m, state_DP, m->readout_TF + (size_t)(layer + 1) * (size_t)m->fields, w->sums_P);
    }
    return DAGFM_OK;
}
