/* Everything of one instruction set, see levels.h; for each

       HEIGHT       rows of a product computed side by side
       WIDTH        registers of each of them: HEIGHT × WIDTH sums, WIDTH numbers and one factor are kept in registers

   One row and one head at a time, all in float32 and in the first cache: F fields, A numbers of each, P fields and Q
   numbers padded to whole registers. Numbers in the padding are zero wherever they are read. */

#define HEIGHT (VEC_FLOATS == 16 ? 8 : 4)
#define WIDTH (VEC_FLOATS == 16 ? 3 : 2)

/* A tile of `height` rows and `width` registers of c = a · b; a[i, k] stands at i·a_row + k·a_step, b is [K, columns]. */
FN void NAME(tile)(const float *a, size_t a_row, size_t a_step, const float *b, size_t columns, float *c, int steps,
                   const int height, const int width)
{
    vec sum[HEIGHT][WIDTH];
    UNROLL for (int i = 0; i < height; i++)
        UNROLL for (int j = 0; j < width; j++)
            sum[i][j] = BROADCAST(0.0f);
    for (int k = 0; k < steps; k++, a += a_step, b += columns) {
        vec right[WIDTH];
        UNROLL for (int j = 0; j < width; j++)
            right[j] = LOAD(b + j * VEC_FLOATS);
        UNROLL for (int i = 0; i < height; i++)
            UNROLL for (int j = 0; j < width; j++)
                sum[i][j] += right[j] * a[(size_t)i * a_row];
    }
    UNROLL for (int i = 0; i < height; i++)
        UNROLL for (int j = 0; j < width; j++)
            STORE(c + (size_t)i * columns + j * VEC_FLOATS, sum[i][j]);
}

/* c [rows, columns] = a · b, b [steps, columns]; columns are whole registers. */
TARGET static void NAME(multiply)(const float *a, size_t a_row, size_t a_step, const float *b, float *c, int rows,
                                  int steps, size_t columns)
{
    for (size_t at = 0; at < columns;) {
        const size_t left = (columns - at) / VEC_FLOATS;
        const int width = left < WIDTH ? (int)left : WIDTH;
        for (int i = 0; i < rows; i += HEIGHT) {
            const int height = rows - i < HEIGHT ? rows - i : HEIGHT;
            BY_SIZE(height, width, NAME(tile), a + (size_t)i * a_row, a_row, a_step, b + at, columns,
                    c + (size_t)i * columns + at, steps);
        }
        at += (size_t)width * VEC_FLOATS;
    }
}

/* e^x for x ≤ 0 to 2 units in the last place, 0 below -87; NaN stays. Cody and Waite's reduction, Cephes' polynomial. */
FN vec NAME(exponential)(vec x)
{
    const vec shift = BROADCAST(12582912.0f); /* 1.5 · 2^23: adding it rounds to whole numbers, in the lowest bits */
    const ints below = x < -87.0f;
    x = SELECT(below, BROADCAST(-87.0f), x);
    const vec shifted = x * 1.44269504f + shift, twos = shifted - shift;
    const vec rest = (x - twos * 0.693359375f) + twos * 2.12194440e-4f;
    vec y = BROADCAST(1.9875691500e-4f);
    y = y * rest + 1.3981999507e-3f;
    y = y * rest + 8.3334519073e-3f;
    y = y * rest + 4.1665795894e-2f;
    y = y * rest + 1.6666665459e-1f;
    y = y * rest + 5.0000001201e-1f;
    y = y * rest * rest + rest + 1.0f;
    const vec scale = (vec)(((ints)shifted << 23) + 0x3f800000);
    return SELECT(below, BROADCAST(0.0f), y * scale);
}

/* Products of the fields g with those that listen, [F, P] → softmax over g. A register is P listening fields side by
   side, so that nothing is ever summed across one; those in the padding get equal weights, which nobody reads. */
FN void NAME(softmax)(float *weights_GP, int fields, size_t padded)
{
    for (size_t f = 0; f < padded; f += VEC_FLOATS) {
        float *column = weights_GP + f, *const end = column + (size_t)fields * padded;
        vec most = LOAD(column), sum = BROADCAST(0.0f);
        for (float *at = column + padded; at < end; at += padded)
            most = SELECT(LOAD(at) > most, LOAD(at), most);
        for (float *at = column; at < end; at += padded) {
            const vec e = NAME(exponential)(LOAD(at) - most);
            STORE(at, e);
            sum += e;
        }
        const vec share = BROADCAST(1.0f) / sum;
        for (float *at = column; at < end; at += padded)
            STORE(at, LOAD(at) * share);
    }
}

/* In place: dα [F, P] → α ⊙ (dα - Σ_g α dα), the gradient of the products before the softmax. */
FN void NAME(softmax_back)(const float *weights_GP, float *grad_GP, int fields, size_t padded)
{
    const size_t end = (size_t)fields * padded;
    for (size_t f = 0; f < padded; f += VEC_FLOATS) {
        vec mean = BROADCAST(0.0f);
        for (size_t at = f; at < end; at += padded)
            mean += LOAD(weights_GP + at) * LOAD(grad_GP + at);
        for (size_t at = f; at < end; at += padded)
            STORE(grad_GP + at, LOAD(weights_GP + at) * (LOAD(grad_GP + at) - mean));
    }
}

/* [F, Q] → [A, P]. */
FN void NAME(transpose)(const float *from_FQ, float *to_AP, const attention_sizes *s)
{
    for (int a = 0; a < s->size; a++)
        for (int f = 0; f < s->fields; f++)
            to_AP[(size_t)a * s->padded_fields + (size_t)f] = from_FQ[(size_t)f * s->padded_size + (size_t)a];
}

/* F times A numbers, `step` apart in what torch gave, into [F, Q]. */
FN void NAME(take)(const attention_sizes *s, const void *array, size_t at, size_t step, float *to_FQ)
{
    for (int f = 0; f < s->fields; f++, at += step, to_FQ += s->padded_size)
        if (s->halved)
            for (int a = 0; a < s->size; a++)
                to_FQ[a] = half_widened(((const uint16_t *)array)[at + (size_t)a]);
        else
            memcpy(to_FQ, (const float *)array + at, (size_t)s->size * sizeof *to_FQ);
}

FN void NAME(give)(const attention_sizes *s, const float *from_FQ, void *array, size_t at, size_t step)
{
    for (int f = 0; f < s->fields; f++, at += step, from_FQ += s->padded_size)
        if (s->halved)
            for (int a = 0; a < s->size; a++)
                ((uint16_t *)array)[at + (size_t)a] = half_rounded(from_FQ[a]);
        else
            memcpy((float *)array + at, from_FQ, (size_t)s->size * sizeof *from_FQ);
}

/* Query, key, value of one row and head, and α. */
FN void NAME(attend)(const attention_sizes *s, const void *projected, size_t at, attention_room *room)
{
    const size_t part = (size_t)(s->heads * s->size), step = ATTENTION_PARTS * part;
    NAME(take)(s, projected, at, step, room->query_FQ);
    NAME(take)(s, projected, at + part, step, room->key_FQ);
    NAME(take)(s, projected, at + 2 * part, step, room->value_FQ);
    NAME(transpose)(room->query_FQ, room->turned_AP, s);
    NAME(multiply)(room->key_FQ, s->padded_size, 1, room->turned_AP, room->weights_GP, s->fields, s->size,
                   s->padded_fields);
    NAME(softmax)(room->weights_GP, s->fields, s->padded_fields);
}

/* out [F, H·A] of one row: ReLU of what was attended to and the residual. */
TARGET static void NAME(forward)(const attention_sizes *s, const void *projected, void *out, size_t row,
                                 attention_room *room)
{
    const size_t F = (size_t)s->fields, part = (size_t)(s->heads * s->size), numbers = F * s->padded_size;
    for (int h = 0; h < s->heads; h++) {
        const size_t head = (size_t)(h * s->size), at = row * F * ATTENTION_PARTS * part + head;
        NAME(attend)(s, projected, at, room);
        NAME(multiply)(room->weights_GP, 1, s->padded_fields, room->value_FQ, room->out_FQ, s->fields, s->fields,
                       s->padded_size);
        NAME(take)(s, projected, at + 3 * part, ATTENTION_PARTS * part, room->query_FQ); /* the residual */
        for (size_t i = 0; i < numbers; i++) {
            const float sum = room->out_FQ[i] + room->query_FQ[i];
            room->out_FQ[i] = sum < 0.0f ? 0.0f : sum; /* NaN stays */
        }
        NAME(give)(s, room->out_FQ, out, row * F * part + head, part);
    }
}

/* Gradients of query, key, value and residual of one row, from that of out; α is made again. */
TARGET static void NAME(backward)(const attention_sizes *s, const void *projected, const void *out, const void *grad_out,
                                  void *grad, size_t row, attention_room *room)
{
    const size_t F = (size_t)s->fields, part = (size_t)(s->heads * s->size), step = ATTENTION_PARTS * part;
    const size_t P = s->padded_fields, Q = s->padded_size;
    for (int h = 0; h < s->heads; h++) {
        const size_t head = (size_t)(h * s->size), at = row * F * step + head, out_at = row * F * part + head;
        NAME(attend)(s, projected, at, room);
        NAME(take)(s, out, out_at, part, room->out_FQ);
        NAME(take)(s, grad_out, out_at, part, room->grad_FQ);
        for (size_t i = 0; i < F * Q; i++)
            room->grad_FQ[i] = room->out_FQ[i] > 0.0f ? room->grad_FQ[i] : 0.0f;
        NAME(give)(s, room->grad_FQ, grad, at + 3 * part, step);
        NAME(multiply)(room->weights_GP, P, 1, room->grad_FQ, room->out_FQ, s->fields, s->fields, Q);
        NAME(give)(s, room->out_FQ, grad, at + 2 * part, step);
        NAME(transpose)(room->grad_FQ, room->turned_AP, s);
        NAME(multiply)(room->value_FQ, Q, 1, room->turned_AP, room->products_GP, s->fields, s->size, P);
        NAME(softmax_back)(room->weights_GP, room->products_GP, s->fields, P);
        NAME(multiply)(room->products_GP, 1, P, room->key_FQ, room->out_FQ, s->fields, s->fields, Q);
        NAME(give)(s, room->out_FQ, grad, at, step);
        NAME(multiply)(room->products_GP, P, 1, room->query_FQ, room->out_FQ, s->fields, s->fields, Q);
        NAME(give)(s, room->out_FQ, grad, at + part, step);
    }
}

#undef WIDTH
#undef HEIGHT
