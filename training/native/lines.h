/* Lines of delimited text cut into values, as RFC 4180 says where quotes count. No Python here. */
#ifndef CTR_LINES_H
#define CTR_LINES_H

#include "codes.h"

#define LINES_SHORT (-1) /* a line ends before its last column */
#define LINES_LONG (-2)  /* a line goes on after its last column */
#define LINES_QUOTE (-3) /* a quote is never closed, or text follows the closing one */
#define LINES_FULL (-4)  /* no memory */

typedef struct {
    const char *at, *end; /* what is left of the block; end[-1] is a line end */
    char separator;
    int quoted; /* whether a value may stand in quotes */
    char *scratch, *scratch_end;  /* where values with doubled quotes are written out; as long as the block, or NULL */
    size_t length;
} lines;

/* The value at a quote; `at` is left on what follows the closing one. */
static int lines_quoted(lines *l, text *value)
{
    const char *begin = ++l->at;
    int doubled = 0;
    for (;; l->at++) {
        if (l->at == l->end)
            return LINES_QUOTE;
        if (*l->at != '"')
            continue;
        if (l->at + 1 == l->end || l->at[1] != '"')
            break;
        doubled = 1, l->at++;
    }
    *value = (text){begin, (size_t)(l->at++ - begin)};
    if (!doubled)
        return 0;
    if (!l->scratch && !(l->scratch = l->scratch_end = malloc(l->length)))
        return LINES_FULL;
    char *out = l->scratch_end;
    for (size_t i = 0; i < value->length; i++) {
        *out++ = value->bytes[i];
        i += value->bytes[i] == '"';
    }
    *value = (text){l->scratch_end, (size_t)(out - l->scratch_end)};
    l->scratch_end = out;
    return 0;
}

/* The values of one line; 0, or what is wrong with it. */
static int lines_next(lines *l, int columns, text *values, size_t stride)
{
    for (int i = 0; i < columns; i++, values += stride) {
        const char *begin = l->at;
        if (l->quoted && *l->at == '"') {
            const int wrong = lines_quoted(l, values);
            if (wrong)
                return wrong;
            if (*l->at == '\r' && l->at[1] == '\n')
                l->at++;
            if (*l->at != l->separator && *l->at != '\n')
                return LINES_QUOTE;
        } else {
            while (*l->at != l->separator && *l->at != '\n')
                l->at++;
            *values = (text){begin, (size_t)(l->at - begin)};
            if (*l->at == '\n' && l->at > begin && l->at[-1] == '\r')
                values->length--;
        }
        if (i + 1 < columns && *l->at == '\n')
            return LINES_SHORT;
        if (i + 1 == columns && *l->at != '\n')
            return LINES_LONG;
        l->at++;
    }
    return 0;
}

#endif
