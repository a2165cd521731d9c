/* Python values → texts → numbers of a table, a batch at a time.

   A value is a string, an integer (looked up by its decimal text, so 42 and "42" are one value) or None; anything else
   is of a wrong type. */
#ifndef CTR_ENCODE_BATCH_H
#define CTR_ENCODE_BATCH_H

#include "arrays.h"
#include "table.h"

#define FINE (-1)
#define FAILED (-2) /* an exception is set */
#define DIGITS 24   /* of any int64, sign included */

enum kind { MISSING, ABSENT, TEXT, LARGE, WRONG };

/* A batch of values on its way through table_find_all. */
typedef struct {
    const table *tables[TABLE_BATCH];
    PyObject *values[TABLE_BATCH]; /* borrowed */
    enum kind kinds[TABLE_BATCH];
    text keys[TABLE_BATCH];
    int64_t numbers[TABLE_BATCH];
    char digits[TABLE_BATCH][DIGITS];
} batch;

static PyObject *answered(Py_ssize_t position)
{
    return position == FAILED ? NULL : PyLong_FromSsize_t(position);
}

static text text_of_number(long long number, char digits[DIGITS])
{
    unsigned long long left = number < 0 ? 0ull - (unsigned long long)number : (unsigned long long)number;
    char *at = digits + DIGITS;
    do
        *--at = (char)('0' + left % 10);
    while (left /= 10);
    if (number < 0)
        *--at = '-';
    return (text){at, (size_t)(digits + DIGITS - at)};
}

/* The text that a value is looked up by; valid while the value lives, and `digits`. */
static inline enum kind text_of(PyObject *value, char digits[DIGITS], text *key)
{
    *key = (text){"", 0};
    if (PyUnicode_CheckExact(value)) {
        Py_ssize_t length;
        key->bytes = PyUnicode_AsUTF8AndSize(value, &length);
        if (!key->bytes) { /* half of a surrogate pair: no text of a bundle has one */
            PyErr_Clear();
            *key = (text){"", 0};
            return ABSENT;
        }
        key->length = (size_t)length;
        return length ? TEXT : MISSING;
    }
    if (value == Py_None)
        return MISSING;
    if (!PyLong_CheckExact(value))
        return WRONG;
    int overflow;
    const long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow)
        return LARGE; /* its text is made by Python */
    *key = text_of_number(number, digits);
    return TEXT;
}

/* The number of an integer beyond 64 bits; -1 with an exception where Python will not write it out. */
static int find_large(const table *t, PyObject *value, int64_t *number)
{
    PyObject *written = PyObject_Str(value);
    Py_ssize_t length;
    const char *bytes = written ? PyUnicode_AsUTF8AndSize(written, &length) : NULL;
    if (bytes)
        *number = table_find(t, (text){bytes, (size_t)length});
    Py_XDECREF(written);
    return bytes ? 0 : -1;
}

/* Kinds and numbers of the first `count` values. FINE, the index of the first of a wrong type, or FAILED. */
static Py_ssize_t find_batch(batch *b, int count)
{
    if (count == 0)
        return FINE;
    for (int i = 0; i < count; i++)
        if ((b->kinds[i] = text_of(b->values[i], b->digits[i], &b->keys[i])) == WRONG)
            return i;
    table_find_all(b->tables, b->keys, count, b->numbers);
    for (int i = 0; i < count; i++) {
        if (b->kinds[i] == LARGE && find_large(b->tables[i], b->values[i], &b->numbers[i]) < 0)
            return FAILED;
        if (b->kinds[i] != MISSING && b->numbers[i] == TABLE_ABSENT)
            b->kinds[i] = ABSENT;
    }
    return FINE;
}

/* The same for values of one table. */
static Py_ssize_t find_column(const table *t, PyObject *const *values, int count, batch *b)
{
    for (int i = 0; i < count; i++)
        b->tables[i] = t, b->values[i] = values[i];
    return find_batch(b, count);
}

static inline int32_t number_of(const batch *b, int i, long missing, long unknown)
{
    return (int32_t)(b->kinds[i] == MISSING ? missing : b->kinds[i] == ABSENT ? unknown : (long)b->numbers[i]);
}

#endif
