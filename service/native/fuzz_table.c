/* Random tables and look-ups against a search through all texts, meant for -fsanitize=address,undefined. Texts lie in
   memory of exactly their length, so that one byte read too far is caught.

       fuzz_table ITERATIONS SEED        prints what was run; ends with 1 at the first disagreement */
#include <stdio.h>

#include "table.h"
#include "fuzz_random.h"

#define MOST 300
#define LONGEST 40

/* Few letters and mostly few of them, so that texts meet, share beginnings and hold NUL. */
static text random_text(void)
{
    const size_t length = random_below(random_below(4) ? 6 : LONGEST);
    char *bytes = malloc(length + !length);
    for (size_t i = 0; i < length; i++)
        bytes[i] = "ab\0\xff"[random_below(4)];
    return (text){bytes, length};
}

static int same(text a, text b) { return a.length == b.length && !memcmp(a.bytes, b.bytes, a.length); }

/* The position of a text among the first `count`, -1 if it is not there. */
static int position(const text *texts, int count, text key)
{
    for (int i = 0; i < count; i++)
        if (same(texts[i], key))
            return i;
    return -1;
}

static int disagree(const table *t, const text *texts, int count)
{
    text keys[TABLE_BATCH];
    const table *tables[TABLE_BATCH];
    int64_t numbers[TABLE_BATCH];
    const int asked = (int)random_below(TABLE_BATCH + 1);
    int wrong = 0;
    for (int i = 0; i < asked; i++)
        tables[i] = t, keys[i] = count && random_below(2) ? texts[random_below((uint32_t)count)] : random_text();
    table_find_all(tables, keys, asked, numbers);
    for (int i = 0; i < asked; i++) {
        const int at = position(texts, count, keys[i]);
        wrong |= numbers[i] != (at < 0 ? TABLE_ABSENT : 2 + at) || numbers[i] != table_find(t, keys[i]);
        int owned = 1;
        for (int j = 0; j < count; j++)
            owned &= texts[j].bytes != keys[i].bytes;
        if (owned)
            free((char *)keys[i].bytes);
    }
    return wrong;
}

static int try_one(void)
{
    text texts[MOST];
    table t = {0};
    size_t bytes = 0;
    int count = 0, wrong = 0;
    for (int left = (int)random_below(MOST); left > 0; left--) {
        texts[count] = random_text();
        if (position(texts, count, texts[count]) < 0)
            bytes += texts[count++].length;
        else
            free((char *)texts[count].bytes);
    }
    if (!table_make(&t, (size_t)count, bytes))
        return 1;
    for (int i = 0; i < count; i++)
        wrong |= !table_add(&t, texts[i], 2 + i);
    for (int i = 0; i < count; i++)
        wrong |= table_add(&t, texts[i], 9); /* a second time */
    wrong |= t.used > t.room;
    for (int round = 0; round < 4; round++)
        wrong |= disagree(&t, texts, count);
    for (int i = 0; i < count; i++)
        free((char *)texts[i].bytes);
    table_free(&t);
    return wrong;
}

int main(int count, char **arguments)
{
    const long iterations = count > 1 ? atol(arguments[1]) : 1000;
    const unsigned long long seed = count > 2 ? strtoull(arguments[2], NULL, 10) : 1;
    random_start(seed);
    for (long i = 0; i < iterations; i++)
        if (try_one()) {
            fprintf(stderr, "iteration %ld of seed %llu disagrees\n", i, seed);
            return 1;
        }
    printf("%ld tables from seed %llu: ok\n", iterations, seed);
    return 0;
}
