/* AutoInt's attention over the fields of a row, forward and backward; training/layers/attention.py has the equations.
   No Python here.

       projected [B, F, 4, H, A]: query, key, value, residual      out [B, F, H, A]
       α = softmax(Q Kᵀ)    out = ReLU(α V + R)

   Numbers come and go as float32 or bfloat16 and are float32 in between. Only `projected` and `out` are kept for the way
   back, on which α [F, F] is made again: 2 products of F·F·A forward, 5 backward. */
#ifndef ATTENTION_CORE_H
#define ATTENTION_CORE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "halves.h"

#define ATTENTION_PARTS 4
#define ATTENTION_ALIGNMENT 64
#define ATTENTION_LIMIT 4096 /* most fields, heads, and numbers of a head */

typedef struct {
    int fields, heads, size;
    int halved; /* bfloat16 */
    size_t padded_fields, padded_size;
} attention_sizes;

/* Of one thread. */
typedef struct {
    float *query_FQ, *key_FQ, *value_FQ, *grad_FQ, *out_FQ, *turned_AP, *weights_GP, *products_GP;
    void *memory;
} attention_room;

/* Of one instruction set. */
typedef struct {
    void (*forward)(const attention_sizes *, const void *, void *, size_t, attention_room *);
    void (*backward)(const attention_sizes *, const void *, const void *, const void *, void *, size_t,
                     attention_room *);
} attention_functions;

/* Call `function` with constants as its last arguments, so that the compiler unrolls for them. */
#define BY_SIZE(height, width, ...)                                                                                    \
    do {                                                                                                               \
        if ((width) == 1)                                                                                              \
            BY_HEIGHT(height, 1, __VA_ARGS__);                                                                         \
        else if ((width) == 2 || WIDTH < 3)                                                                            \
            BY_HEIGHT(height, 2, __VA_ARGS__);                                                                         \
        else                                                                                                           \
            BY_HEIGHT(height, (WIDTH < 3 ? 2 : 3), __VA_ARGS__);                                                       \
    } while (0)
#define BY_HEIGHT(height, width, function, ...)                                                                        \
    do {                                                                                                               \
        if ((height) == HEIGHT)                                                                                        \
            function(__VA_ARGS__, HEIGHT, width);                                                                      \
        else if ((height) == 7 && HEIGHT > 7)                                                                          \
            function(__VA_ARGS__, HEIGHT > 7 ? 7 : 1, width);                                                          \
        else                                                                                                           \
            switch (height) {                                                                                          \
            case 6: function(__VA_ARGS__, HEIGHT > 6 ? 6 : 1, width); break;                                           \
            case 5: function(__VA_ARGS__, HEIGHT > 5 ? 5 : 1, width); break;                                           \
            case 4: function(__VA_ARGS__, HEIGHT > 4 ? 4 : 1, width); break;                                           \
            case 3: function(__VA_ARGS__, 3, width); break;                                                            \
            case 2: function(__VA_ARGS__, 2, width); break;                                                            \
            default: function(__VA_ARGS__, 1, width);                                                                  \
            }                                                                                                          \
    } while (0)

#define KERNEL "attention_kernel.h"
#include "levels.h"

#define ENTRY(name) {forward_##name, backward_##name},
static const attention_functions ATTENTION[] = {LEVELS(ENTRY)};
#undef ENTRY

/* For the instruction set that `found` is the place of. */
static attention_sizes attention_padded(int fields, int heads, int size, int halved, int found)
{
    const size_t step = (size_t)LEVEL[found].floats;
    return (attention_sizes){fields, heads, size, halved, ((size_t)fields + step - 1) / step * step,
                             ((size_t)size + step - 1) / step * step};
}

/* Zeroed: what is padding stays zero. -1 without memory. */
static int attention_make_room(const attention_sizes *s, attention_room *room)
{
    const size_t wide = (size_t)s->fields * s->padded_size, square = (size_t)s->fields * s->padded_fields;
    const size_t turned = (size_t)s->size * s->padded_fields, all = 5 * wide + turned + 2 * square;
    room->memory = calloc(all * sizeof(float) + ATTENTION_ALIGNMENT, 1);
    if (!room->memory)
        return -1;
    char *aligned = (char *)room->memory + (ATTENTION_ALIGNMENT - (uintptr_t)room->memory % ATTENTION_ALIGNMENT);
    float *next = (float *)(void *)aligned;
    float **wides[] = {&room->query_FQ, &room->key_FQ, &room->value_FQ, &room->grad_FQ, &room->out_FQ};
    for (size_t i = 0; i < sizeof wides / sizeof *wides; i++, next += wide)
        *wides[i] = next;
    room->turned_AP = next;
    room->weights_GP = next + turned;
    room->products_GP = next + turned + square;
    return 0;
}

#endif
