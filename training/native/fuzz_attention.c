/* Random attention of every instruction set against its equations in double precision; meant for
   -fsanitize=address,undefined. Arrays are exactly as long as they must be, so that one number read or written too far
   is caught.

       fuzz_attention ITERATIONS SEED      prints what was run; ends with 1 at the first disagreement */
#include <stdio.h>

#include "attention_core.h"
#include "../../service/native/fuzz_random.h"

#define MOST_FIELDS 45
#define MOST_NUMBERS 40

/* `count` numbers in [-1, 1) that bfloat16 has, as they are stored. */
static void *random_numbers(size_t count, int halved)
{
    float *numbers = malloc(count * sizeof *numbers);
    uint16_t *halves = malloc(count * sizeof *halves);
    for (size_t i = 0; i < count; i++) {
        halves[i] = half_rounded((float)((int)random_below(256) - 128) / 128.0f);
        numbers[i] = half_widened(halves[i]);
    }
    free(halved ? (void *)numbers : (void *)halves);
    return halved ? (void *)halves : (void *)numbers;
}

static double number(const void *array, size_t at, int halved)
{
    return halved ? half_widened(((const uint16_t *)array)[at]) : ((const float *)array)[at];
}

typedef struct {
    int F, H, A, halved;
    const void *projected, *out, *grad_out, *grad;
    double alpha[MOST_FIELDS][MOST_FIELDS], slope[MOST_FIELDS][MOST_FIELDS];
} Case;

/* Part 0 query … 3 residual, of field f, head h. */
static size_t place(const Case *c, int f, int part, int h)
{
    return (size_t)(((f * ATTENTION_PARTS + part) * c->H + h) * c->A);
}

static double dot(const Case *c, const void *left, size_t l, const void *right, size_t r)
{
    double sum = 0;
    for (int a = 0; a < c->A; a++)
        sum += number(left, l + (size_t)a, c->halved) * number(right, r + (size_t)a, c->halved);
    return sum;
}

/* α, and with the gradient of out what the products get. */
static void weigh(Case *c, int h, const double gated[MOST_FIELDS][MOST_NUMBERS])
{
    for (int f = 0; f < c->F; f++) {
        double most = -INFINITY, sum = 0, mean = 0;
        for (int g = 0; g < c->F; g++) {
            c->alpha[f][g] = dot(c, c->projected, place(c, f, 0, h), c->projected, place(c, g, 1, h));
            most = fmax(most, c->alpha[f][g]);
        }
        for (int g = 0; g < c->F; g++)
            sum += c->alpha[f][g] = exp(c->alpha[f][g] - most);
        for (int g = 0; g < c->F; g++) {
            c->alpha[f][g] /= sum;
            c->slope[f][g] = 0;
            for (int a = 0; a < c->A; a++)
                c->slope[f][g] += gated[f][a] * number(c->projected, place(c, g, 2, h) + (size_t)a, c->halved);
            mean += c->alpha[f][g] * c->slope[f][g];
        }
        for (int g = 0; g < c->F; g++)
            c->slope[f][g] = c->alpha[f][g] * (c->slope[f][g] - mean);
    }
}

static int differs(const Case *c, const char *what, double found, double expected)
{
    const double allowed = (c->halved ? 0.01 : 2e-5) * (1.0 + fabs(expected));
    if (fabs(found - expected) <= allowed)
        return 0;
    printf("%s: %.9g, expected %.9g with %d fields, %d heads of %d%s\n", what, found, expected, c->F, c->H, c->A,
           c->halved ? ", bfloat16" : "");
    return 1;
}

static int check_head(Case *c, int h)
{
    static double gated[MOST_FIELDS][MOST_NUMBERS];
    int wrong = 0;
    for (int f = 0; f < c->F; f++)
        for (int a = 0; a < c->A; a++) {
            const size_t at = (size_t)((f * c->H + h) * c->A + a);
            const int open = number(c->out, at, c->halved) > 0;
            gated[f][a] = open ? number(c->grad_out, at, c->halved) : 0.0;
            wrong += number(c->grad, place(c, f, 3, h) + (size_t)a, c->halved) != gated[f][a];
        }
    weigh(c, h, (const double(*)[MOST_NUMBERS])gated);
    for (int f = 0; f < c->F; f++)
        for (int a = 0; a < c->A; a++) {
            double out = number(c->projected, place(c, f, 3, h) + (size_t)a, c->halved), query = 0, key = 0, value = 0;
            for (int g = 0; g < c->F; g++) {
                out += c->alpha[f][g] * number(c->projected, place(c, g, 2, h) + (size_t)a, c->halved);
                query += c->slope[f][g] * number(c->projected, place(c, g, 1, h) + (size_t)a, c->halved);
                key += c->slope[g][f] * number(c->projected, place(c, g, 0, h) + (size_t)a, c->halved);
                value += c->alpha[g][f] * gated[g][a];
            }
            const size_t at = (size_t)((f * c->H + h) * c->A + a);
            wrong += differs(c, "out", number(c->out, at, c->halved), out < 0 ? 0 : out);
            wrong += differs(c, "query", number(c->grad, place(c, f, 0, h) + (size_t)a, c->halved), query);
            wrong += differs(c, "key", number(c->grad, place(c, f, 1, h) + (size_t)a, c->halved), key);
            wrong += differs(c, "value", number(c->grad, place(c, f, 2, h) + (size_t)a, c->halved), value);
        }
    return wrong;
}

static int one(int found)
{
    static Case c;
    c.F = 1 + (int)random_below(MOST_FIELDS), c.H = 1 + (int)random_below(3), c.A = 1 + (int)random_below(MOST_NUMBERS);
    c.halved = (int)random_below(2);
    const attention_sizes sizes = attention_padded(c.F, c.H, c.A, c.halved, found);
    const size_t narrow = (size_t)(c.F * c.H * c.A);
    attention_room room;
    if (attention_make_room(&sizes, &room) < 0)
        return 1;
    void *projected = random_numbers(ATTENTION_PARTS * narrow, c.halved), *out = random_numbers(narrow, c.halved);
    void *grad_out = random_numbers(narrow, c.halved), *grad = random_numbers(ATTENTION_PARTS * narrow, c.halved);
    for (int again = 0; again < 2; again++) { /* the room is used again, with what is left in it */
        ATTENTION[found].forward(&sizes, projected, out, 0, &room);
        ATTENTION[found].backward(&sizes, projected, out, grad_out, grad, 0, &room);
    }
    c.projected = projected, c.out = out, c.grad_out = grad_out, c.grad = grad;
    int wrong = 0;
    for (int h = 0; h < c.H; h++)
        wrong += check_head(&c, h);
    free(projected), free(out), free(grad_out), free(grad), free(room.memory);
    return wrong;
}

int main(int count, char **words)
{
    const long iterations = count > 1 ? atol(words[1]) : 200;
    random_start(count > 2 ? strtoull(words[2], NULL, 10) : 2022);
    for (int found = 0; found < LEVEL_COUNT; found++) {
        if (!LEVEL[found].supported())
            continue;
        for (long i = 0; i < iterations; i++)
            if (one(found)) {
                printf("%s, iteration %ld\n", LEVEL[found].name, i);
                return 1;
            }
        printf("attention %s: %ld cases agree with their equations\n", LEVEL[found].name, iterations);
    }
    return 0;
}
