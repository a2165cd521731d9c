/* What a propagation layer of DAGFM does between its matrix products, forward and backward, in one pass over the states;
   training/layers/fused_propagation.py has the equations. No Python here.

   An array of states holds P × N × Q numbers, and what is summed over d are those of one of the N nodes (a field of a
   row): Q = D numbers side by side where P = 1, or D planes of one number where Q = 1. Numbers are float32 or bfloat16;
   sums and the gradient of h^1, which every layer adds to, are float32. */
#ifndef PROPAGATION_CORE_H
#define PROPAGATION_CORE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "halves.h"

typedef struct {
    size_t planes, nodes, width; /* P, N, Q */
    int halved;                  /* bfloat16 */
    const void *base, *messages; /* h^1 and what arrived at each node; NULL in what is about h^1 itself */
    void *state;                 /* h^{t+1} = h^1 ⊙ messages */
    float *sums_N;
    const void *grad_state; /* from the layer that read the state; NULL: none did */
    const float *grad_sums_N;
    float *grad_base; /* added to, but for the last layer, which is the first on the way back */
    void *grad;       /* of messages; of h^1 where there are none */
} propagation;

typedef struct {
    void (*forward)(const propagation *, size_t, size_t);
    void (*backward)(const propagation *, size_t, size_t);
} propagation_functions;

typedef float quad __attribute__((vector_size(16)));

static inline float propagation_read(const void *array, size_t at, int halved)
{
    return halved ? half_widened(((const uint16_t *)array)[at]) : ((const float *)array)[at];
}

static inline void propagation_write(void *array, size_t at, float number, int halved)
{
    if (halved)
        ((uint16_t *)array)[at] = half_rounded(number);
    else
        ((float *)array)[at] = number;
}

#define KERNEL "propagation_kernel.h"
#include "levels.h"

#define ENTRY(name) {forward_##name, backward_##name},
static const propagation_functions PROPAGATION[] = {LEVELS(ENTRY)};
#undef ENTRY

/* The best instruction set whose registers the numbers of a node fill; else the best one. */
static inline int propagation_level(const propagation *p)
{
    for (int i = 0; p->planes == 1 && i < LEVEL_COUNT; i++)
        if (LEVEL[i].supported() && p->width % (size_t)LEVEL[i].floats == 0)
            return i;
    return level_find(NULL);
}

#endif
