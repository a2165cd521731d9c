/* Building a model: one block of memory, weights packed in the order in which dagfm_kernel.h reads them. */

static size_t dagfm_round(size_t count, size_t step) { return (count + step - 1) / step * step; }

/* `count` numbers of 4 bytes from a block that is being laid out; a NULL block only counts. */
static void *dagfm_take(char *block, size_t *used, size_t count)
{
    const size_t at = *used;
    *used += dagfm_round(count * 4, DAGFM_ALIGNMENT);
    return block ? block + at : NULL;
}

/* Zeroed memory for `layout`, aligned; the block to free is returned through `memory`. */
static char *dagfm_allocate(size_t bytes, void **memory)
{
    *memory = calloc(bytes + DAGFM_ALIGNMENT, 1);
    if (!*memory)
        return NULL;
    return (char *)*memory + (DAGFM_ALIGNMENT - (uintptr_t)*memory % DAGFM_ALIGNMENT);
}

static size_t dagfm_lay_out(dagfm_model *m, char *block)
{
    size_t used = 0;
    const size_t F = (size_t)m->fields, D = (size_t)m->dimension, L = (size_t)m->layers, P = (size_t)m->padded;
    const size_t edges = dagfm_edges(0, m->candidates), once = L * (size_t)m->context * D * P;
    m->first_F = dagfm_take(block, &used, 2 * F);
    m->sizes_F = dagfm_take(block, &used, 2 * F);
    m->readout_TF = dagfm_take(block, &used, (L + 1) * F);
    m->connect_FP = dagfm_take(block, &used, (size_t)m->context * P);
    m->context_p = dagfm_take(block, &used, once);
    m->context_q = dagfm_take(block, &used, m->outer ? once : 0);
    m->connect = dagfm_take(block, &used, edges);
    m->p = dagfm_take(block, &used, L * edges * D);
    m->q = dagfm_take(block, &used, m->outer ? L * edges * D : 0);
    return used;
}

/* weight_FFD[f, s, d] of a layer, f and s counted over all fields. */
static float dagfm_at(const dagfm_model *m, const float *weight_LFFD, int layer, int f, int s, int d)
{
    const size_t F = (size_t)m->fields, D = (size_t)m->dimension;
    return weight_LFFD[(((size_t)layer * F + (size_t)f) * F + (size_t)s) * D + (size_t)d];
}

/* [L, F, F, D] → [L, Fc, D, P], edges f > s zero. */
static void dagfm_pack_context(const dagfm_model *m, const float *weight_LFFD, float *packed)
{
    for (int layer = 0; layer < m->layers; layer++)
        for (int f = 0; f < m->context; f++)
            for (int d = 0; d < m->dimension; d++, packed += m->padded)
                for (int s = f; s < m->fields; s++)
                    packed[s] = dagfm_at(m, weight_LFFD, layer, f, s, d);
}

/* Edges into a group of targets, per dimension; `weight` NULL packs the connection, which has one weight for all d. */
static float *dagfm_pack_group(const dagfm_model *m, const float *weight, int layer, int target, int width, int d,
                               float *packed)
{
    const int c = m->context;
    for (int f = 0; f < target + width; f++)
        for (int s = f > target ? f : target; s < target + width; s++)
            *packed++ = dagfm_at(m, weight, layer, c + f, c + s, d);
    return packed;
}

static float *dagfm_pack_inner(const dagfm_model *m, const float *weight, int layer, int target, int width,
                               float *packed)
{
    for (int d = 0; d < m->dimension; d++)
        packed = dagfm_pack_group(m, weight, layer, target, width, d, packed);
    return packed;
}

/* p for `dot`: per source all dimensions, the targets of the group innermost. */
static float *dagfm_pack_dot(const dagfm_model *m, const float *weight, int layer, int target, int width, float *packed)
{
    const int c = m->context;
    for (int f = 0; f < target + width; f++)
        for (int d = 0; d < m->dimension; d++)
            for (int s = f > target ? f : target; s < target + width; s++)
                *packed++ = dagfm_at(m, weight, layer, c + f, c + s, d);
    return packed;
}

/* q for `spread`: per target and a group of dimensions all sources, those dimensions innermost. */
static float *dagfm_pack_spread(const dagfm_model *m, const float *weight, int layer, int target, int width,
                                float *packed)
{
    const int c = m->context, D = m->dimension;
    for (int s = target; s < target + width; s++)
        for (int first = 0; first < D; first += m->level->group)
            for (int f = 0; f <= s; f++)
                for (int d = first; d < D && d < first + m->level->group; d++)
                    *packed++ = dagfm_at(m, weight, layer, c + f, c + s, d);
    return packed;
}

typedef float *dagfm_pack_fn(const dagfm_model *, const float *, int, int, int, float *);

static void dagfm_pack(const dagfm_model *m, const float *weight_LFFD, dagfm_pack_fn *pack, float *packed)
{
    for (int layer = 0; layer < m->layers; layer++)
        for (int s = 0; s < m->candidates; s += m->level->group) {
            const int width = m->candidates - s < m->level->group ? m->candidates - s : m->level->group;
            packed = pack(m, weight_LFFD, layer, s, width, packed);
        }
}

/* C[s, f]: columns of context fields for all targets, the candidates' triangle in groups. */
static void dagfm_pack_connection(dagfm_model *m, const float *connect_FF)
{
    const int F = m->fields, c = m->context;
    float *packed = m->connect;
    for (int f = 0; f < c; f++)
        for (int s = f; s < F; s++)
            m->connect_FP[(size_t)f * (size_t)m->padded + (size_t)s] = connect_FF[(size_t)s * (size_t)F + (size_t)f];
    for (int target = 0; target < m->candidates; target += m->level->group)
        for (int f = 0; f < m->candidates && f < target + m->level->group; f++)
            for (int s = f > target ? f : target; s < m->candidates && s < target + m->level->group; s++)
                *packed++ = connect_FF[(size_t)(c + s) * (size_t)F + (size_t)(c + f)];
    for (int s = c; s < F; s++)
        for (int f = 0; f <= s; f++)
            m->mixes |= connect_FF[(size_t)s * (size_t)F + (size_t)f] != (float)(f == s);
}

static void dagfm_free(dagfm_model *m)
{
    if (m)
        free(m->memory);
    free(m);
}

/* Copies and packs everything but the embedding table. Field 0 … context - 1 are the context; 1 ≤ fields - context.
   Returns NULL without memory. */
static dagfm_model *dagfm_build(const dagfm_weights *w, const dagfm_level *level)
{
    dagfm_model *m = calloc(1, sizeof *m);
    if (!m)
        return NULL;
    m->fields = w->fields, m->context = w->context, m->candidates = w->fields - w->context;
    m->dimension = w->dimension, m->layers = w->layers, m->bias = w->bias, m->outer = w->q_LFFD != NULL;
    m->padded = (int)dagfm_round((size_t)m->fields, (size_t)level->vec_floats);
    m->field_stride = m->outer ? (size_t)m->dimension : 1;
    m->dimension_stride = m->outer ? 1 : (size_t)m->candidates;
    m->level = level, m->embedding_VD = w->embedding_VD, m->scale_V = w->scale_V, m->stored = w->stored;
    m->row_bytes = (size_t)m->dimension * (w->stored == DAGFM_FLOAT32 ? 4 : w->stored == DAGFM_FLOAT16 ? 2 : 1);
    char *block = dagfm_allocate(dagfm_lay_out(m, NULL), &m->memory);
    if (!block) {
        dagfm_free(m);
        return NULL;
    }
    dagfm_lay_out(m, block);
    for (int f = 0; f < m->fields; f++) {
        m->sizes_F[f] = w->sizes_F[f];
        m->first_F[f] = f ? m->first_F[f - 1] + m->sizes_F[f - 1] : 0;
    }
    memcpy(m->readout_TF, w->readout_TF, (size_t)(m->layers + 1) * (size_t)m->fields * sizeof(float));
    dagfm_pack_connection(m, w->connect_FF);
    dagfm_pack_context(m, w->p_LFFD, m->context_p);
    dagfm_pack(m, w->p_LFFD, m->outer ? dagfm_pack_dot : dagfm_pack_inner, m->p);
    if (m->outer) {
        dagfm_pack_context(m, w->q_LFFD, m->context_q);
        dagfm_pack(m, w->q_LFFD, dagfm_pack_spread, m->q);
    }
    return m;
}

static void dagfm_free_work(dagfm_work *w)
{
    if (w)
        free(w->memory);
    free(w);
}

static size_t dagfm_lay_out_work(const dagfm_model *m, dagfm_work *w, char *block)
{
    size_t used = 0;
    const size_t D = (size_t)m->dimension, P = (size_t)m->padded, lanes = 2 * (size_t)m->level->vec_floats;
    const size_t states = (size_t)m->candidates * D * lanes;
    w->base_DP = dagfm_take(block, &used, D * P);
    w->state_DP = dagfm_take(block, &used, D * P);
    w->messages_LDP = dagfm_take(block, &used, (size_t)m->layers * D * P);
    w->sums_P = dagfm_take(block, &used, P);
    w->rows_FD = dagfm_take(block, &used, (size_t)m->context * D);
    w->dots_FV = dagfm_take(block, &used, (size_t)m->context * (size_t)m->level->vec_floats);
    w->room_RD = dagfm_take(block, &used, (size_t)m->level->vec_floats * D);
    for (int i = 0; i < 2; i++) /* two floats have the room of one number of 64 bits */
        w->rows[i] = (int64_t *)(void *)dagfm_take(block, &used, 2 * (size_t)m->candidates * lanes);
    w->base = dagfm_take(block, &used, states);
    w->state = dagfm_take(block, &used, states);
    w->dots = dagfm_take(block, &used, m->outer ? (size_t)m->level->group * (size_t)m->candidates * lanes : 0);
    return used;
}

/* A work area for one run at a time; NULL without memory. */
static dagfm_work *dagfm_new_work(const dagfm_model *m)
{
    dagfm_work *w = calloc(1, sizeof *w);
    if (!w)
        return NULL;
    char *block = dagfm_allocate(dagfm_lay_out_work(m, w, NULL), &w->memory);
    if (!block) {
        dagfm_free_work(w);
        return NULL;
    }
    dagfm_lay_out_work(m, w, block);
    return w;
}

/* Logits [rows] of candidate_ids [rows, Fx] in the context context_ids [Fc]. DAGFM_OK, or the place of an id that
   its field does not have: 0 … Fc - 1 in the context, Fc + n·Fx + f in the candidates. No such id is ever followed. */
static int64_t dagfm_score(const dagfm_model *m, const dagfm_work *w, const int32_t *context_ids,
                           const int32_t *candidate_ids, int64_t rows, float *logits)
{
    return m->level->score(m, w, context_ids, candidate_ids, rows, logits);
}
