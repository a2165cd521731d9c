/* Random blocks cut and coded, against a search through all texts so far; meant for -fsanitize=address,undefined. A block
   lies in memory of exactly its length, so that one byte read too far is caught; half of them are noise.

       fuzz_columns ITERATIONS SEED        prints what was run; ends with 1 at the first disagreement */
#include <stdio.h>

#include "lines.h"
#include "../../service/native/fuzz_random.h"

#define MOST_ROWS 200
#define LONGEST 30
#define COLUMNS 3

static char *copy_of(const char *bytes, size_t length)
{
    char *copy = malloc(length ? length : 1);
    memcpy(copy, bytes, length);
    return copy;
}

/* A text, and how it is written: plain, or in quotes with its quotes doubled. */
static text random_text(char *written, size_t *length, int quoted)
{
    char bytes[LONGEST];
    const size_t count = random_below(random_below(3) ? 9 : LONGEST);
    size_t at = 0;
    for (size_t i = 0; i < count; i++)
        bytes[i] = (quoted ? "ab\0\xff,\n\r\"" : "ab\0\xff")[random_below(quoted ? 8 : 4)];
    if (quoted)
        written[at++] = '"';
    for (size_t i = 0; i < count; i++) {
        written[at++] = bytes[i];
        if (bytes[i] == '"')
            written[at++] = '"';
    }
    if (quoted)
        written[at++] = '"';
    *length = at;
    return (text){copy_of(bytes, count), count};
}

/* Rows that are well formed: every value must come back, its code that of its first appearance. */
static int whole_block(column_codes *codes, text *known, uint32_t *known_count)
{
    static char written[MOST_ROWS * COLUMNS * (2 * LONGEST + 3)];
    static text expected[MOST_ROWS][COLUMNS];
    const int rows = 1 + (int)random_below(MOST_ROWS);
    size_t length = 0, one;
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < COLUMNS; column++) {
            expected[row][column] = random_text(written + length, &one, random_below(3) == 0);
            length += one;
            if (column + 1 == COLUMNS && random_below(4) == 0)
                written[length++] = '\r';
            written[length++] = column + 1 < COLUMNS ? ',' : '\n';
        }
    char *block = copy_of(written, length);
    lines l = {.at = block, .end = block + length, .separator = ',', .quoted = 1, .length = length};
    int agree = 1;
    for (int row = 0; agree && row < rows; row++) {
        text values[COLUMNS];
        int32_t out[COLUMNS];
        l.scratch_end = l.scratch;
        agree = !lines_next(&l, COLUMNS, values, 1) && codes_of_batch(codes, values, COLUMNS, block, l.end - 7, out);
        for (int i = 0; agree && i < COLUMNS; i++) {
            const text t = expected[row][i];
            uint32_t code = 0;
            if (t.length)
                for (code = 1; code <= *known_count; code++)
                    if (known[code].length == t.length && !memcmp(known[code].bytes, t.bytes, t.length))
                        break;
            if (code > *known_count)
                known[code] = (text){copy_of(t.bytes, t.length), t.length}, *known_count = code;
            const uint64_t start = codes_start(codes, code);
            agree = out[i] == (int32_t)code && codes->ends[code] - start == t.length &&
                    !memcmp(codes->bytes + start, t.bytes, t.length);
        }
    }
    agree = agree && l.at == l.end;
    for (int row = 0; row < rows; row++)
        for (int column = 0; column < COLUMNS; column++)
            free((char *)expected[row][column].bytes);
    free(l.scratch), free(block);
    return agree;
}

/* Bytes at random: whatever comes of it, nothing is read or written outside. */
static void noise(column_codes *codes)
{
    const size_t length = 1 + random_below(200);
    char *block = malloc(length);
    for (size_t i = 0; i < length; i++)
        block[i] = "a,\"\n\r"[random_below(5)];
    block[length - 1] = '\n';
    lines l = {.at = block, .end = block + length, .separator = ',', .quoted = (int)random_below(2), .length = length};
    text values[COLUMNS];
    int32_t out[COLUMNS];
    while (l.at < l.end && !lines_next(&l, COLUMNS, values, 1)) {
        codes_of_batch(codes, values, COLUMNS, block, l.end - 7, out);
        l.scratch_end = l.scratch;
    }
    free(l.scratch), free(block);
}

int main(int count, char **arguments)
{
    const long iterations = count > 1 ? atol(arguments[1]) : 300;
    random_start(count > 2 ? strtoull(arguments[2], NULL, 10) : 0);
    static text known[MOST_ROWS * COLUMNS * 8 + 1];
    for (long i = 0; i < iterations; i++) {
        column_codes codes, others;
        uint32_t known_count = 0;
        if (!codes_make(&codes) || !codes_make(&others))
            return 1;
        int agree = 1;
        for (int block = 0; agree && block < 8; block++) {
            agree = whole_block(&codes, known, &known_count);
            noise(&others);
        }
        codes_free(&codes), codes_free(&others);
        while (known_count)
            free((char *)known[known_count--].bytes);
        if (!agree) {
            printf("fuzz_columns: iteration %ld disagrees\n", i);
            return 1;
        }
    }
    printf("fuzz_columns: %ld iterations agree\n", iterations);
    return 0;
}
