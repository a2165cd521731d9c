/* What the native scorer is measured against: gather every embedding row of a request, do as many multiply-adds as the
   model's equations have, blocked for registers and from the nearest cache, and nothing else: no layouts, no layers that
   wait for each other, no readout. Compiled with -march=native by bench_native.py. */
#include <stdint.h>
#include <string.h>

#if defined(__AVX512F__)
#define FLOATS 16
#elif defined(__AVX__)
#define FLOATS 8
#else
#define FLOATS 4
#endif
#define LANES (2 * FLOATS)
#define STRIP 32
#if defined(__x86_64__)
#define IN_REGISTERS(a, b) __asm__("" : "+x"(a), "+x"(b)) /* else GCC loads both again for every weight */
#else
#define IN_REGISTERS(a, b) (void)0
#endif
typedef float vec __attribute__((vector_size(FLOATS * 4), may_alias));

/* `count` multiply-adds on each of LANES candidates, 4 weights x 2 registers of candidates at a time, a strip of states
   after the other. `numbers` floats of states and `kept` weights are used round and round. */
static void multiply_add(const float *states, int64_t numbers, const float *weights, int64_t kept, int64_t count,
                         vec total[8])
{
    const int64_t strip = numbers / LANES < STRIP ? numbers / LANES : STRIP;
    vec sum[8];
    memcpy(sum, total, sizeof sum);
    for (int64_t done = 0, at = 0, weight = 0; done < count; done += 4 * strip, at += strip * LANES, weight += 4 * strip) {
        at = at + strip * LANES > numbers ? 0 : at;
        weight = weight + 4 * strip > kept ? 0 : weight;
        const float *x = states + at, *w = weights + weight;
        for (int64_t i = 0; i < strip; i++, x += LANES, w += 4) {
            vec x0 = *(const vec *)x, x1 = *(const vec *)(x + FLOATS);
            IN_REGISTERS(x0, x1);
#pragma GCC unroll 4
            for (int k = 0; k < 4; k++) {
                sum[2 * k] += x0 * w[k];
                sum[2 * k + 1] += x1 * w[k];
            }
        }
    }
    memcpy(total, sum, sizeof sum);
}

typedef struct {
    const float *table_VD, *weights;
    const int64_t *first_F;
    int64_t context_fields, candidate_fields, dimension, per_context, per_candidate, kept;
    float *scratch; /* [LANES, Fx, D] */
} shape;

/* Ask for the rows of `block` candidates ahead of their use. */
static void prefetch(const shape *s, const int32_t *ids, int64_t block)
{
    for (int64_t n = 0; n < block; n++)
        for (int64_t f = 0; f < s->candidate_fields; f++, ids++) {
            const int64_t row = s->first_F[s->context_fields + f] + *ids;
            const char *line = (const char *)(s->table_VD + row * s->dimension);
            for (int64_t at = 0; at < s->dimension * (int64_t)sizeof(float); at += 64)
                __builtin_prefetch(line + at);
        }
}

static void gather(const shape *s, const int32_t *ids, int64_t block)
{
    float *to = s->scratch;
    for (int64_t n = 0; n < block; n++)
        for (int64_t f = 0; f < s->candidate_fields; f++, ids++, to += s->dimension) {
            const float *row = s->table_VD + (s->first_F[s->context_fields + f] + *ids) * s->dimension;
            int64_t d = 0;
            for (; d + 4 <= s->dimension; d += 4)
                memcpy(to + d, row + d, 4 * sizeof(float));
            for (; d < s->dimension; d++)
                to[d] = row[d];
        }
}

/* One request; the sum is returned so that nothing is optimised away. The context's own multiply-adds fill registers. */
static float one(const shape *s, const int32_t *context_ids, const int32_t *candidate_ids, int64_t rows)
{
    vec total[8] = {0};
    const int64_t numbers = LANES * s->candidate_fields * s->dimension;
    float sum = 0;
    for (int64_t f = 0; f < s->context_fields; f++)
        sum += s->table_VD[(s->first_F[f] + context_ids[f]) * s->dimension];
    multiply_add(s->scratch, numbers, s->weights, s->kept, s->per_context / LANES, total);
    for (int64_t n = 0; n < rows; n += LANES) {
        const int64_t block = rows - n < LANES ? rows - n : LANES;
        const int32_t *ids = candidate_ids + n * s->candidate_fields;
        const int64_t ahead = rows - n - block < LANES ? rows - n - block : LANES;
        prefetch(s, ids + block * s->candidate_fields, ahead);
        gather(s, ids, block);
        multiply_add(s->scratch, numbers, s->weights, s->kept, s->per_candidate, total);
    }
    for (int k = 0; k < 8; k++)
        for (int i = 0; i < FLOATS; i++)
            sum += total[k][i];
    return sum;
}

/* All requests, so that a caller in Python pays for one call. */
float bound(const float *table_VD, const float *weights, const int64_t *first_F, float *scratch,
            const int32_t *context_ids_RF, const int32_t *candidate_ids_RNF, const int64_t *numbers)
{
    const shape s = {table_VD, weights, first_F, numbers[0], numbers[1], numbers[2], numbers[3], numbers[4],
                     numbers[5], scratch + (-(uintptr_t)scratch % 64) / sizeof(float)};
    const int64_t requests = numbers[6], rows = numbers[7];
    float sum = 0;
    for (int64_t r = 0; r < requests; r++)
        sum += one(&s, context_ids_RF + r * s.context_fields, candidate_ids_RNF + r * rows * s.candidate_fields, rows);
    return sum;
}
