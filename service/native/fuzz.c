/* Random models, requests and bad ids against the definition in double precision, meant for
   -fsanitize=address,undefined. Buffers have exactly the size they must have, so one step outside is caught.

       fuzz ITERATIONS SEED        prints what was run; ends with 1 at the first disagreement */
#include <math.h>
#include <stdio.h>

#include "dagfm_core.h"
#include "fuzz_random.h"

static int random_between(int low, int high) { return low + (int)(random_bits() % (uint32_t)(high - low + 1)); }

static float random_weight(void) { return ((float)(random_bits() % 2001) - 1000.0f) / 1000.0f; }

static float *random_weights(size_t count, float scale)
{
    float *weights = malloc(count * sizeof *weights + !count);
    for (size_t i = 0; i < count; i++)
        weights[i] = random_weight() * scale;
    return weights;
}

/* A table stored in a random way; `numbers_VD` gets what its rows stand for, by the definition of their formats. */
static void random_table(dagfm_weights *w, size_t rows, float *numbers_VD)
{
    const size_t D = (size_t)w->dimension;
    w->stored = (dagfm_stored)random_between(DAGFM_FLOAT32, DAGFM_INT8);
    float *scale_V = w->stored == DAGFM_INT8 ? random_weights(rows, 0.01f) : NULL;
    const size_t size = w->stored == DAGFM_FLOAT32 ? 4 : w->stored == DAGFM_FLOAT16 ? 2 : 1;
    void *table = malloc(rows * D * size);
    for (size_t i = 0; i < rows * D; i++) {
        const int exponent = random_between(0, 3) ? 15 - random_between(1, 5) : 0, fraction = random_between(0, 1023);
        const int sign = random_between(0, 1), step = random_between(-127, 127);
        if (w->stored == DAGFM_FLOAT32)
            ((float *)table)[i] = numbers_VD[i] = random_weight();
        else if (w->stored == DAGFM_INT8)
            ((int8_t *)table)[i] = (int8_t)step, numbers_VD[i] = (float)step * scale_V[i / D];
        else {
            ((uint16_t *)table)[i] = (uint16_t)(sign << 15 | exponent << 10 | fraction);
            numbers_VD[i] = ldexpf((float)(fraction + (exponent ? 1024 : 0)), (exponent ? exponent : 1) - 25);
            numbers_VD[i] = sign ? -numbers_VD[i] : numbers_VD[i];
        }
    }
    w->embedding_VD = table, w->scale_V = scale_V;
}

/* `*numbers_VD` is the table as plain numbers. */
static dagfm_weights random_model(float **numbers_VD)
{
    dagfm_weights w = {0};
    w.context = random_between(0, 3) ? random_between(0, 19) : 0;
    w.fields = w.context + random_between(1, random_between(0, 1) ? 9 : 19);
    w.dimension = random_between(1, 18), w.layers = random_between(1, 4), w.bias = random_weight();
    const size_t F = (size_t)w.fields, D = (size_t)w.dimension, edges = (size_t)w.layers * F * F * D;
    const float scale = 1.0f / sqrtf((float)w.fields);
    int64_t *sizes = malloc(F * sizeof *sizes), rows = 0;
    for (size_t f = 0; f < F; f++)
        rows += sizes[f] = random_between(2, 40);
    float *connect = random_weights(F * F, scale);
    const int identity = random_between(0, 2) == 0;
    for (size_t s = 0; s < F; s++)
        for (size_t f = 0; f < F; f++)
            connect[s * F + f] = f > s ? 0.0f : identity ? (float)(f == s) : connect[s * F + f];
    w.sizes_F = sizes, w.connect_FF = connect;
    *numbers_VD = malloc((size_t)rows * D * sizeof **numbers_VD);
    random_table(&w, (size_t)rows, *numbers_VD);
    w.p_LFFD = random_weights(edges, scale);
    w.q_LFFD = random_between(0, 1) ? random_weights(edges, scale) : NULL;
    w.readout_TF = random_weights(((size_t)w.layers + 1) * F, scale);
    return w;
}

static void free_weights(dagfm_weights *w)
{
    free((void *)w->sizes_F), free((void *)w->connect_FF), free((void *)w->embedding_VD), free((void *)w->p_LFFD);
    free((void *)w->q_LFFD), free((void *)w->readout_TF), free((void *)w->scale_V);
}

/* Σ_{f ≤ s} φ(h_f)[d] */
static double message(const dagfm_weights *w, const double *state_FD, int layer, int s, int d)
{
    const int F = w->fields, D = w->dimension;
    double sum = 0;
    for (int f = 0; f <= s; f++) {
        const size_t edge = (((size_t)layer * (size_t)F + (size_t)f) * (size_t)F + (size_t)s) * (size_t)D;
        double sent = state_FD[f * D + d] * w->p_LFFD[edge + (size_t)d];
        if (w->q_LFFD) {
            sent = 0;
            for (int e = 0; e < D; e++)
                sent += state_FD[f * D + e] * w->p_LFFD[edge + (size_t)e];
            sent *= w->q_LFFD[edge + (size_t)d];
        }
        sum += sent;
    }
    return sum;
}

static double readout(const dagfm_weights *w, const double *state_FD, int step)
{
    double sum = 0;
    for (int s = 0; s < w->fields; s++)
        for (int d = 0; d < w->dimension; d++)
            sum += (double)w->readout_TF[step * w->fields + s] * state_FD[s * w->dimension + d];
    return sum;
}

/* The definition, one row, written without a thought for speed. */
static double expected_logit(const dagfm_weights *w, const float *numbers_VD, const int32_t *context,
                             const int32_t *candidate)
{
    const int F = w->fields, D = w->dimension;
    double *base = calloc((size_t)F * (size_t)D, sizeof *base), *state = calloc((size_t)F * (size_t)D, sizeof *state);
    double *next = calloc((size_t)F * (size_t)D, sizeof *next);
    int64_t first = 0;
    for (int f = 0; f < F; first += w->sizes_F[f], f++) {
        const int64_t row = first + (f < w->context ? context[f] : candidate[f - w->context]);
        for (int s = f; s < F; s++)
            for (int d = 0; d < D; d++)
                base[s * D + d] += (double)w->connect_FF[s * F + f] * numbers_VD[row * D + d];
    }
    memcpy(state, base, (size_t)F * (size_t)D * sizeof *base);
    double logit = w->bias + readout(w, base, 0);
    for (int layer = 0; layer < w->layers; layer++) {
        for (int s = 0; s < F; s++)
            for (int d = 0; d < D; d++)
                next[s * D + d] = base[s * D + d] * message(w, state, layer, s, d);
        memcpy(state, next, (size_t)F * (size_t)D * sizeof *base);
        logit += readout(w, state, layer + 1);
    }
    free(base), free(state), free(next);
    return logit;
}

static int32_t *random_ids(const dagfm_weights *w, int first, int fields, int rows)
{
    int32_t *ids = malloc((size_t)rows * (size_t)fields * sizeof *ids + 1);
    for (int i = 0; i < rows * fields; i++)
        ids[i] = random_between(0, (int)w->sizes_F[first + i % fields] - 1);
    return ids;
}

/* Make one id bad now and then; returns its place, DAGFM_OK if all stay good. */
static int64_t spoil(const dagfm_weights *w, int32_t *context, int32_t *candidates, int rows)
{
    static const int32_t far[] = {-1, INT32_MIN, INT32_MAX};
    if (random_between(0, 3))
        return DAGFM_OK;
    const int width = w->fields - w->context, place = random_between(0, w->context + rows * width - 1);
    const int field = place < w->context ? place : w->context + (place - w->context) % width;
    const int kind = random_between(0, 3);
    *(place < w->context ? context + place : candidates + place - w->context) =
        kind == 3 ? (int32_t)w->sizes_F[field] : far[kind];
    return place;
}

static int check(const dagfm_weights *w, const float *numbers_VD, dagfm_model *m, dagfm_work *work)
{
    const int rows = random_between(1, random_between(0, 1) ? 5 : 70), width = w->fields - w->context;
    int32_t *context = random_ids(w, 0, w->context, 1), *candidates = random_ids(w, w->context, width, rows);
    float *logits = malloc((size_t)rows * sizeof *logits);
    const int64_t bad = spoil(w, context, candidates, rows);
    const int64_t found = dagfm_score(m, work, context, candidates, rows, logits);
    int wrong = found != bad;
    for (int n = 0; bad == DAGFM_OK && !wrong && n < rows; n++) {
        const double expected = expected_logit(w, numbers_VD, context, candidates + n * width);
        wrong = !(fabs(logits[n] - expected) <= 2e-5 * (1 + fabs(expected)));
        if (wrong)
            fprintf(stderr, "candidate %d of %d: %.8g, expected %.8g\n", n, rows, logits[n], expected);
    }
    if (wrong)
        fprintf(stderr, "%s %s, table %d: Fc %d Fx %d D %d L %d N %d, bad id at %lld, found %lld\n", m->level->name,
                m->outer ? "outer" : "inner", (int)w->stored, w->context, width, w->dimension, w->layers, rows,
                (long long)bad, (long long)found);
    free(context), free(candidates), free(logits);
    return wrong;
}

int main(int argc, char **argv)
{
    const long iterations = argc > 1 ? atol(argv[1]) : 200;
    long models = 0, wrong = 0;
    random_start(argc > 2 ? strtoull(argv[2], NULL, 10) : 1);
    for (long i = 0; i < iterations && !wrong; i++) {
        float *numbers_VD;
        dagfm_weights w = random_model(&numbers_VD);
        for (size_t level = 0; level < DAGFM_LEVEL_COUNT && !wrong; level++) {
            if (!DAGFM_LEVELS[level].supported())
                continue;
            dagfm_model *m = dagfm_build(&w, &DAGFM_LEVELS[level]);
            dagfm_work *work = dagfm_new_work(m);
            for (int request = 0; request < 3 && !wrong; request++)
                wrong = check(&w, numbers_VD, m, work);
            dagfm_free_work(work), dagfm_free(m), models++;
        }
        free_weights(&w), free(numbers_VD);
    }
    printf("%ld models, best instruction set %s: %s\n", models, dagfm_find_level(NULL)->name, wrong ? "WRONG" : "ok");
    return wrong != 0;
}
