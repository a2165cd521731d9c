/* Everything of one instruction set, see levels.h. Nodes [from, to) are a thread's; `halved` is a constant wherever these
   are inlined. */

typedef uint16_t NAME(shorts) __attribute__((vector_size(VEC_FLOATS * 2), may_alias, aligned(2)));
typedef float NAME(loose) __attribute__((vector_size(VEC_FLOATS * 4), may_alias, aligned(4)));
typedef uint32_t NAME(bits) __attribute__((vector_size(VEC_FLOATS * 4), may_alias));
#define shorts NAME(shorts)
#define loose NAME(loose)

FN vec NAME(read)(const void *array, size_t at, const int halved)
{
    if (!halved)
        return (vec) * (const loose *)((const float *)array + at);
    return (vec)(__builtin_convertvector(*(const shorts *)((const uint16_t *)array + at), ints) << 16);
}

/* As half_rounded, whole registers. */
FN void NAME(write)(void *array, size_t at, vec numbers, const int halved)
{
    if (!halved) {
        *(loose *)((float *)array + at) = (loose)numbers;
        return;
    }
    const NAME(bits) given = (NAME(bits))numbers, rounded = (given + 0x7fff + ((given >> 16) & 1)) >> 16;
    const ints odd = (given & 0x7fffffff) > 0x7f800000; /* NaN, which might round to infinity */
    const ints kept = (ints)SELECT(odd, (ints){0} + 0x7fc0, rounded);
    *(shorts *)((uint16_t *)array + at) = __builtin_convertvector(kept, shorts);
}

/* h^{t+1} from `at` on, as it is stored; h^1 where there are no messages. */
FN vec NAME(next)(const propagation *p, size_t at, const int halved)
{
    const vec base = NAME(read)(p->base, at, halved);
    if (!p->messages)
        return base;
    NAME(write)(p->state, at, base * NAME(read)(p->messages, at, halved), halved);
    return NAME(read)(p->state, at, halved);
}

FN float NAME(next_one)(const propagation *p, size_t at, const int halved)
{
    const float base = propagation_read(p->base, at, halved);
    if (!p->messages)
        return base;
    propagation_write(p->state, at, base * propagation_read(p->messages, at, halved), halved);
    return propagation_read(p->state, at, halved);
}

/* With g the gradient of h^{t+1}: g ⊙ h^1 for the messages, g ⊙ messages to h^1. Without messages: all that came to h^1. */
FN void NAME(back)(const propagation *p, size_t at, vec grad, const int halved)
{
    if (p->grad_state)
        grad += NAME(read)(p->grad_state, at, halved);
    if (!p->messages) {
        NAME(write)(p->grad, at, grad + NAME(read)(p->grad_base, at, 0), halved);
        return;
    }
    vec to_base = grad * NAME(read)(p->messages, at, halved);
    if (p->grad_state)
        to_base += NAME(read)(p->grad_base, at, 0);
    NAME(write)(p->grad_base, at, to_base, 0);
    NAME(write)(p->grad, at, grad * NAME(read)(p->base, at, halved), halved);
}

FN void NAME(back_one)(const propagation *p, size_t at, float grad, const int halved)
{
    if (p->grad_state)
        grad += propagation_read(p->grad_state, at, halved);
    if (!p->messages) {
        propagation_write(p->grad, at, grad + p->grad_base[at], halved);
        return;
    }
    const float to_base = grad * propagation_read(p->messages, at, halved);
    p->grad_base[at] = to_base + (p->grad_state ? p->grad_base[at] : 0.0f);
    propagation_write(p->grad, at, grad * propagation_read(p->base, at, halved), halved);
}

/* The sum of a register's floats. */
FN float NAME(across)(vec lanes)
{
    quad four = {0};
    UNROLL for (int i = 0; i < VEC_FLOATS; i += 4)
        four += (quad){lanes[i], lanes[i + 1], lanes[i + 2], lanes[i + 3]};
    return (four[0] + four[1]) + (four[2] + four[3]);
}

/* P = 1: a node's numbers stand side by side. */
FN void NAME(forward_within)(const propagation *p, size_t from, size_t to, const int halved)
{
    for (size_t node = from; node < to; node++) {
        const size_t at = node * p->width;
        vec lanes = BROADCAST(0.0f);
        size_t d = 0;
        for (; d + VEC_FLOATS <= p->width; d += VEC_FLOATS)
            lanes += NAME(next)(p, at + d, halved);
        float sum = 0.0f;
        for (; d < p->width; d++)
            sum += NAME(next_one)(p, at + d, halved);
        p->sums_N[node] = NAME(across)(lanes) + sum;
    }
}

FN void NAME(backward_within)(const propagation *p, size_t from, size_t to, const int halved)
{
    for (size_t node = from; node < to; node++) {
        const size_t at = node * p->width;
        const float grad = p->grad_sums_N[node];
        size_t d = 0;
        for (; d + VEC_FLOATS <= p->width; d += VEC_FLOATS)
            NAME(back)(p, at + d, BROADCAST(grad), halved);
        for (; d < p->width; d++)
            NAME(back_one)(p, at + d, grad, halved);
    }
}

/* Q = 1: a node has one number in each plane. */
FN void NAME(forward_across)(const propagation *p, size_t from, size_t to, const int halved)
{
    memset(p->sums_N + from, 0, (to - from) * sizeof *p->sums_N);
    for (size_t plane = 0; plane < p->planes; plane++) {
        const size_t at = plane * p->nodes;
        size_t n = from;
        for (; n + VEC_FLOATS <= to; n += VEC_FLOATS)
            NAME(write)(p->sums_N, n, NAME(read)(p->sums_N, n, 0) + NAME(next)(p, at + n, halved), 0);
        for (; n < to; n++)
            p->sums_N[n] += NAME(next_one)(p, at + n, halved);
    }
}

FN void NAME(backward_across)(const propagation *p, size_t from, size_t to, const int halved)
{
    for (size_t plane = 0; plane < p->planes; plane++) {
        const size_t at = plane * p->nodes;
        size_t n = from;
        for (; n + VEC_FLOATS <= to; n += VEC_FLOATS)
            NAME(back)(p, at + n, NAME(read)(p->grad_sums_N, n, 0), halved);
        for (; n < to; n++)
            NAME(back_one)(p, at + n, p->grad_sums_N[n], halved);
    }
}

#define EITHER(way)                                                                                                    \
    do {                                                                                                               \
        if (p->planes == 1 && p->halved)                                                                               \
            NAME(way##_within)(p, from, to, 1);                                                                        \
        else if (p->planes == 1)                                                                                       \
            NAME(way##_within)(p, from, to, 0);                                                                        \
        else if (p->halved)                                                                                            \
            NAME(way##_across)(p, from, to, 1);                                                                        \
        else                                                                                                           \
            NAME(way##_across)(p, from, to, 0);                                                                        \
    } while (0)

TARGET static void NAME(forward)(const propagation *p, size_t from, size_t to) { EITHER(forward); }
TARGET static void NAME(backward)(const propagation *p, size_t from, size_t to) { EITHER(backward); }

#undef EITHER
#undef loose
#undef shorts
