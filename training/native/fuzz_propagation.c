/* Random layers of every instruction set against their equations in double precision; meant for
   -fsanitize=address,undefined. Arrays are exactly as long as they must be, so that one number read or written too far
   is caught.

       fuzz_propagation ITERATIONS SEED      prints what was run; ends with 1 at the first disagreement */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "propagation_core.h"
#include "../../service/native/fuzz_random.h"

#define MOST 45

/* `count` numbers in [-1, 1) that bfloat16 has, as they are stored. */
static void *random_numbers(size_t count, int halved)
{
    void *numbers = malloc(count * (halved ? sizeof(uint16_t) : sizeof(float)));
    for (size_t i = 0; i < count; i++)
        propagation_write(numbers, i, (float)((int)random_below(256) - 128) / 128.0f, halved);
    return numbers;
}

static int differs(const propagation *p, const char *what, double found, double expected, int halved)
{
    /* half a unit of bfloat16's last place, and float32's on the way to it */
    const double allowed = (halved ? 0x1p-8 * fabs(expected) : 0.0) + 1e-6 * (1.0 + fabs(expected));
    if (fabs(found - expected) <= allowed)
        return 0;
    printf("%s: %.9g, expected %.9g with %zu planes of %zu nodes of %zu%s\n", what, found, expected, p->planes, p->nodes,
           p->width, p->halved ? ", bfloat16" : "");
    return 1;
}

/* Number d of a node. */
static size_t place(const propagation *p, size_t node, size_t d)
{
    return p->planes == 1 ? node * p->width + d : d * p->nodes + node;
}

static int check(const propagation *p, const float *before)
{
    int wrong = 0;
    for (size_t node = 0; node < p->nodes && !wrong; node++) {
        double sum = 0;
        for (size_t d = 0; d < p->planes * p->width && !wrong; d++) {
            const size_t at = place(p, node, d);
            const double base = propagation_read(p->base, at, p->halved);
            const double messages = p->messages ? propagation_read(p->messages, at, p->halved) : 1.0;
            const double state = p->messages ? propagation_read(p->state, at, p->halved) : base;
            double grad = p->grad_sums_N[node];
            wrong += differs(p, "state", state, base * messages, p->halved);
            sum += state;
            if (p->grad_state)
                grad += propagation_read(p->grad_state, at, p->halved);
            const double kept = p->grad_state || !p->messages ? before[at] : 0.0;
            const double given = p->messages ? grad * base : grad + kept;
            wrong += differs(p, "grad", propagation_read(p->grad, at, p->halved), given, p->halved);
            if (p->messages)
                wrong += differs(p, "grad of h^1", p->grad_base[at], kept + grad * messages, 0);
        }
        wrong += wrong || differs(p, "sum", p->sums_N[node], sum, 0);
    }
    return wrong;
}

/* The nodes in two parts, as two threads have them. */
static void in_parts(const propagation *p, void (*function)(const propagation *, size_t, size_t))
{
    const size_t cut = random_below((uint32_t)p->nodes + 1);
    function(p, cut, p->nodes);
    function(p, 0, cut);
}

static int one(int found)
{
    const size_t numbers = 1 + random_below(MOST), within = random_below(2);
    propagation p = {.planes = within ? 1 : numbers, .nodes = 1 + random_below(MOST), .width = within ? numbers : 1};
    p.halved = (int)random_below(2);
    const size_t count = p.planes * p.nodes * p.width;
    void *arrays[5];
    for (int i = 0; i < 5; i++)
        arrays[i] = random_numbers(count, p.halved);
    float *before = random_numbers(count, 0), *grad_base = malloc(count * sizeof *grad_base);
    float *sums = random_numbers(p.nodes, 0), *grad_sums = random_numbers(p.nodes, 0);
    memcpy(grad_base, before, count * sizeof *before);
    const int first = random_below(4) == 0;
    p.base = arrays[0], p.messages = first ? NULL : arrays[1], p.state = arrays[2], p.grad = arrays[3];
    p.grad_state = random_below(3) ? arrays[4] : NULL;
    p.sums_N = sums, p.grad_sums_N = grad_sums, p.grad_base = grad_base;
    in_parts(&p, PROPAGATION[found].forward);
    in_parts(&p, PROPAGATION[found].backward);
    const int wrong = check(&p, before);
    for (int i = 0; i < 5; i++)
        free(arrays[i]);
    free(before), free(grad_base), free(sums), free(grad_sums);
    return wrong;
}

/* Any bits of float32: whole registers round to the bits that half_rounded gives. */
static int rounds_otherwise(int found)
{
    enum { COUNT = 64 };
    float sums[1] = {-0.0f}, numbers[COUNT];
    uint16_t rounded[COUNT];
    for (int i = 0; i < COUNT; i++) {
        const uint32_t bits = i % 4 ? random_bits() : 0x7fffffffu - random_below(1u << 24);
        memcpy(&numbers[i], &bits, sizeof bits);
    }
    const propagation p = {.planes = 1, .nodes = 1, .width = COUNT, .halved = 1, .grad_sums_N = sums,
                           .grad_base = numbers, .grad = rounded};
    PROPAGATION[found].backward(&p, 0, 1);
    for (int i = 0; i < COUNT; i++)
        if (rounded[i] != half_rounded(numbers[i])) {
            printf("%a rounded to %x, expected %x\n", (double)numbers[i], rounded[i], half_rounded(numbers[i]));
            return 1;
        }
    return 0;
}

int main(int count, char **words)
{
    const long iterations = count > 1 ? atol(words[1]) : 2000;
    random_start(count > 2 ? strtoull(words[2], NULL, 10) : 2022);
    for (int found = 0; found < LEVEL_COUNT; found++) {
        if (!LEVEL[found].supported())
            continue;
        for (long i = 0; i < iterations; i++)
            if (one(found) || rounds_otherwise(found)) {
                printf("%s, iteration %ld\n", LEVEL[found].name, i);
                return 1;
            }
        printf("propagation %s: %ld cases agree with their equations\n", LEVEL[found].name, iterations);
    }
    return 0;
}
