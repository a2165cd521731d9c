/* The Python type Table: texts of a vocabulary or a catalogue → numbers, looked up a column at a time. */
#ifndef CTR_ENCODE_TABLE_H
#define CTR_ENCODE_TABLE_H

#include "encode_batch.h"

typedef struct {
    PyObject_HEAD
    table table;
    Py_ssize_t length;
} Table;

/* The items of a list or tuple, itself kept alive by the caller. */
static PyObject *sequence_of(PyObject *object, const char *name)
{
    if (PyList_CheckExact(object) || PyTuple_CheckExact(object))
        return object;
    PyErr_Format(PyExc_TypeError, "%s: got a %.80s, expected a list or a tuple", name, Py_TYPE(object)->tp_name);
    return NULL;
}

/* encode(column, out, missing, unknown) */
static PyObject *Table_encode(Table *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer out_N;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "encode(column, out, missing, unknown)");
        return NULL;
    }
    PyObject *column = sequence_of(args[0], "column");
    const long missing = PyLong_AsLong(args[2]), unknown = PyLong_AsLong(args[3]);
    if (!column || PyErr_Occurred())
        return NULL;
    const Py_ssize_t length = PySequence_Fast_GET_SIZE(column);
    if (array_get(args[1], "out", 'i', 1, &length, 1, 0, &out_N) < 0)
        return NULL;
    PyObject *const *values = PySequence_Fast_ITEMS(column);
    char *out = out_N.buf;
    Py_ssize_t bad = FINE;
    batch b;
    for (Py_ssize_t start = 0; bad == FINE && start < length; start += TABLE_BATCH) {
        const int part = length - start < TABLE_BATCH ? (int)(length - start) : TABLE_BATCH;
        bad = find_column(&self->table, values + start, part, &b);
        for (int i = 0; bad == FINE && i < part; i++, out += out_N.strides[0])
            *(int32_t *)out = number_of(&b, i, missing, unknown);
        bad = bad < 0 ? bad : start + bad;
    }
    PyBuffer_Release(&out_N);
    return answered(bad);
}

/* The values of up to TABLE_BATCH fields from `first` on, each looked up in its field's table; fields without one are
   passed over. FINE, the index of the first field whose value is of a wrong type, or FAILED. */
static Py_ssize_t find_row(PyObject *tables, PyObject *names, PyObject *row, Py_ssize_t first, int32_t *out,
                           long missing, long unknown)
{
    const Py_ssize_t left = PyTuple_GET_SIZE(names) - first;
    Py_ssize_t fields[TABLE_BATCH];
    int count = 0;
    batch b;
    for (Py_ssize_t i = first; i < first + (left < TABLE_BATCH ? left : TABLE_BATCH); i++) {
        PyObject *table = PyTuple_GET_ITEM(tables, i);
        if (table == Py_None)
            continue;
        PyObject *value = PyDict_GetItemWithError(row, PyTuple_GET_ITEM(names, i));
        if (!value) {
            if (!PyErr_Occurred())
                PyErr_SetObject(PyExc_KeyError, PyTuple_GET_ITEM(names, i));
            return FAILED;
        }
        b.tables[count] = &((Table *)table)->table, b.values[count] = value, fields[count++] = i;
    }
    const Py_ssize_t bad = find_batch(&b, count);
    for (int i = 0; bad == FINE && i < count; i++)
        out[fields[i]] = number_of(&b, i, missing, unknown);
    return bad < 0 ? bad : fields[bad];
}

/* encode_row(tables, names, row, out, missing, unknown) */
static PyObject *encode_row(PyObject *module, PyObject *const *args, Py_ssize_t count)
{
    PyTypeObject *type = *(PyTypeObject **)PyModule_GetState(module);
    if (count != 6 || !PyTuple_CheckExact(args[0]) || !PyTuple_CheckExact(args[1]) || !PyDict_CheckExact(args[2]) ||
        PyTuple_GET_SIZE(args[0]) != PyTuple_GET_SIZE(args[1])) {
        PyErr_SetString(PyExc_TypeError, "encode_row(tables: tuple, names: tuple, row: dict, out, missing, unknown)");
        return NULL;
    }
    const Py_ssize_t fields = PyTuple_GET_SIZE(args[0]);
    for (Py_ssize_t i = 0; i < fields; i++) {
        PyObject *table = PyTuple_GET_ITEM(args[0], i);
        if (table != Py_None && !Py_IS_TYPE(table, type)) {
            PyErr_Format(PyExc_TypeError, "tables[%zd]: got a %.80s, expected a Table or None", i,
                         Py_TYPE(table)->tp_name);
            return NULL;
        }
    }
    const long missing = PyLong_AsLong(args[4]), unknown = PyLong_AsLong(args[5]);
    Py_buffer out_F;
    if (PyErr_Occurred() || array_get(args[3], "out", 'i', 1, &fields, 1, 1, &out_F) < 0)
        return NULL;
    Py_ssize_t bad = FINE;
    for (Py_ssize_t first = 0; bad == FINE && first < fields; first += TABLE_BATCH)
        bad = find_row(args[0], args[1], args[2], first, out_F.buf, missing, unknown);
    PyBuffer_Release(&out_F);
    return answered(bad);
}

/* Copy the rows of the values of one batch; FINE, or the index of the first that has none, or FAILED. */
static Py_ssize_t gather_batch(const Table *self, PyObject *const *values, int part, const Py_buffer *rows_IF,
                               int32_t *out)
{
    const size_t fields = (size_t)rows_IF->shape[1];
    batch b;
    Py_ssize_t wrong = find_column(&self->table, values, part, &b);
    if (wrong == FAILED)
        return FAILED;
    if (wrong > 0) /* what comes before it may be absent */
        find_column(&self->table, values, (int)wrong, &b);
    for (int i = 0; i < (wrong < 0 ? part : (int)wrong); i++) {
        if (b.kinds[i] != TEXT && b.kinds[i] != LARGE)
            return i;
        memcpy(out + (size_t)i * fields, (const int32_t *)rows_IF->buf + (size_t)b.numbers[i] * fields,
               fields * sizeof *out);
    }
    return wrong;
}

/* gather(items, rows, out) */
static PyObject *Table_gather(Table *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer rows_IF, out_NF;
    PyObject *items = count == 3 ? sequence_of(args[0], "items") : NULL;
    if (!items) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "gather(items, rows, out)");
        return NULL;
    }
    const Py_ssize_t length = PySequence_Fast_GET_SIZE(items), of_rows[] = {self->length, -1};
    if (array_get(args[1], "rows", 'i', 2, of_rows, 0, 1, &rows_IF) < 0)
        return NULL;
    const Py_ssize_t of_out[] = {length, rows_IF.shape[1]};
    Py_ssize_t bad = FAILED;
    if (array_get(args[2], "out", 'i', 2, of_out, 1, 1, &out_NF) == 0) {
        bad = FINE;
        for (Py_ssize_t start = 0; bad == FINE && start < length; start += TABLE_BATCH) {
            const int part = length - start < TABLE_BATCH ? (int)(length - start) : TABLE_BATCH;
            bad = gather_batch(self, PySequence_Fast_ITEMS(items) + start, part, &rows_IF,
                               (int32_t *)out_NF.buf + start * rows_IF.shape[1]);
            bad = bad < 0 ? bad : start + bad;
        }
        PyBuffer_Release(&out_NF);
    }
    PyBuffer_Release(&rows_IF);
    return answered(bad);
}

/* ---------------------------------------------------------------------------------------------------- construction */

/* The texts as bytes; -1 with an exception for what is no string or cannot be written as UTF-8. */
static int bytes_of(PyObject *texts, Py_ssize_t length, size_t *bytes)
{
    *bytes = 0;
    for (Py_ssize_t i = 0; i < length; i++) {
        PyObject *value = PySequence_Fast_GET_ITEM(texts, i);
        Py_ssize_t size;
        if (!PyUnicode_CheckExact(value)) {
            PyErr_Format(PyExc_TypeError, "texts[%zd]: got a %.80s, expected a string", i, Py_TYPE(value)->tp_name);
            return -1;
        }
        if (!PyUnicode_AsUTF8AndSize(value, &size))
            return -1;
        *bytes += (size_t)size;
    }
    return 0;
}

static int fill(Table *self, PyObject *texts, long first)
{
    for (Py_ssize_t i = 0; i < self->length; i++) {
        Py_ssize_t size;
        const char *bytes = PyUnicode_AsUTF8AndSize(PySequence_Fast_GET_ITEM(texts, i), &size);
        if (!table_add(&self->table, (text){bytes, (size_t)size}, (int32_t)(first + i))) {
            PyErr_Format(PyExc_ValueError, "texts[%zd]: occurs a second time, expected each text once", i);
            return -1;
        }
    }
    return 0;
}

static PyObject *Table_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"texts", "first", NULL};
    PyObject *texts;
    long first;
    size_t bytes;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "Ol", names, &texts, &first) || !sequence_of(texts, "texts"))
        return NULL;
    const Py_ssize_t length = PySequence_Fast_GET_SIZE(texts);
    if (first < 0 || length > INT32_MAX - first) {
        PyErr_Format(PyExc_ValueError, "first: got %ld with %zd texts, expected numbers of 0 to 2^31 - 1", first, length);
        return NULL;
    }
    Table *self = (Table *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    self->length = length;
    if (bytes_of(texts, length, &bytes) == 0) {
        if (!table_make(&self->table, (size_t)length, bytes))
            PyErr_NoMemory();
        else if (fill(self, texts, first) == 0)
            return (PyObject *)self;
    }
    Py_DECREF(self);
    return NULL;
}

static void Table_dealloc(Table *self)
{
    PyTypeObject *type = Py_TYPE(self);
    table_free(&self->table);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

static PyMethodDef Table_methods[] = {
    {"encode", (PyCFunction)(void (*)(void))Table_encode, METH_FASTCALL,
     "encode(column, out, missing, unknown): write numbers to int32 [N]; -1, or the position of the first value of a "
     "wrong type."},
    {"gather", (PyCFunction)(void (*)(void))Table_gather, METH_FASTCALL,
     "gather(items, rows, out): copy rows [I, F] of the items to int32 [N, F]; -1, or the position of the first item that "
     "is not here."},
    {NULL}};

static PyType_Slot Table_slots[] = {
    {Py_tp_new, Table_new},
    {Py_tp_dealloc, Table_dealloc},
    {Py_tp_methods, Table_methods},
    {Py_tp_doc, "Table(texts, first): texts[i] → first + i; each text once."},
    {0, NULL}};

static PyType_Spec Table_spec = {"service.native._encode.Table", sizeof(Table), 0, Py_TPFLAGS_DEFAULT, Table_slots};

#endif
