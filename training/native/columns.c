/* `training.native._columns`: delimited text → codes of distinct texts, column by column; and the shuffle of a split.

   Training only: a machine without a C compiler reads the same codes in Python (training/data/columns_python.py). */
#include "lines.h"

#include "../../service/native/arrays.h"

typedef struct {
    PyObject_HEAD
    int tables;
    column_codes *codes;
} Columns;

static void Columns_free(Columns *self)
{
    for (int i = 0; i < self->tables; i++)
        codes_free(&self->codes[i]);
    free(self->codes);
    PyTypeObject *type = Py_TYPE(self);
    type->tp_free(self);
    Py_DECREF(type);
}

static PyObject *Columns_new(PyTypeObject *type, PyObject *args, PyObject *names)
{
    int tables;
    if (names && PyDict_GET_SIZE(names)) {
        PyErr_SetString(PyExc_TypeError, "Columns(tables)");
        return NULL;
    }
    if (!PyArg_ParseTuple(args, "i", &tables))
        return NULL;
    Columns *self = (Columns *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    int made = tables > 0 && (self->codes = calloc((size_t)tables, sizeof *self->codes)) != NULL;
    for (; made && self->tables < tables; self->tables++)
        made = codes_make(&self->codes[self->tables]);
    if (made)
        return (PyObject *)self;
    Py_DECREF(self);
    return tables > 0 ? PyErr_NoMemory() : PyErr_Format(PyExc_ValueError, "tables: got %d, expected at least 1", tables);
}

/* All lines of a block, CODES_BATCH at a time; the rows read, and in `wrong` what ended the reading early. */
static Py_ssize_t read_lines(Columns *self, lines *l, const Py_buffer *tables, int32_t *out, Py_ssize_t room, int *wrong)
{
    const int columns = (int)tables->shape[0];
    const int32_t *table_of = tables->buf;
    const char *safe_begin = l->at, *safe_end = l->end - 7;
    text *values = malloc((size_t)columns * CODES_BATCH * sizeof *values);
    Py_ssize_t rows = 0;
    *wrong = values ? 0 : LINES_FULL;
    while (!*wrong && l->at < l->end && rows < room) {
        int count = 0;
        l->scratch_end = l->scratch;
        for (; count < CODES_BATCH && l->at < l->end && rows + count < room; count++)
            if ((*wrong = lines_next(l, columns, values + count, CODES_BATCH)))
                break;
        for (int i = 0; i < columns && *wrong != LINES_FULL; i++) {
            if (table_of[i] < 0)
                continue;
            int32_t *codes = out + table_of[i] * room + rows;
            if (!codes_of_batch(&self->codes[table_of[i]], values + (size_t)i * CODES_BATCH, count, safe_begin, safe_end,
                                codes))
                *wrong = LINES_FULL;
        }
        rows += count;
    }
    free(values);
    return rows;
}

/* read(block, separator, quoted, tables, out) */
static PyObject *Columns_read(Columns *self, PyObject *args)
{
    Py_buffer block, tables, out;
    PyObject *tables_object, *out_object;
    int quoted;
    char separator;
    if (!PyArg_ParseTuple(args, "y*cpOO", &block, &separator, &quoted, &tables_object, &out_object))
        return NULL;
    const Py_ssize_t any = -1, shape[2] = {self->tables, -1};
    PyObject *answer = NULL;
    if (array_get(tables_object, "tables", 'i', 1, &any, 0, 1, &tables) == 0) {
        if (array_get(out_object, "out", 'i', 2, shape, 1, 1, &out) == 0) {
            int fits = tables.shape[0] > 0 && block.len > 0 && ((char *)block.buf)[block.len - 1] == '\n';
            for (Py_ssize_t i = 0; fits && i < tables.shape[0]; i++)
                fits = ((int32_t *)tables.buf)[i] < self->tables;
            if (!fits)
                PyErr_SetString(PyExc_ValueError, "read: expected a block that ends with a line end and tables that exist");
            else {
                int wrong;
                Py_ssize_t rows;
                lines l = {.at = block.buf, .end = (char *)block.buf + block.len, .separator = separator,
                           .quoted = quoted, .length = (size_t)block.len};
                Py_BEGIN_ALLOW_THREADS
                rows = read_lines(self, &l, &tables, out.buf, out.shape[1], &wrong);
                Py_END_ALLOW_THREADS
                free(l.scratch);
                answer = wrong == LINES_FULL ? PyErr_NoMemory() : Py_BuildValue("ni", rows, wrong);
            }
            PyBuffer_Release(&out);
        }
        PyBuffer_Release(&tables);
    }
    PyBuffer_Release(&block);
    return answer;
}

static const column_codes *codes_at(Columns *self, int table)
{
    if (table >= 0 && table < self->tables)
        return &self->codes[table];
    PyErr_Format(PyExc_IndexError, "table %d of %d", table, self->tables);
    return NULL;
}

/* texts(table, codes) */
static PyObject *Columns_texts(Columns *self, PyObject *args)
{
    int table;
    PyObject *object;
    Py_buffer wanted;
    const Py_ssize_t any = -1;
    if (!PyArg_ParseTuple(args, "iO", &table, &object))
        return NULL;
    const column_codes *c = codes_at(self, table);
    if (!c || array_get(object, "codes", 'i', 1, &any, 0, 1, &wanted) < 0)
        return NULL;
    PyObject *texts = PyList_New(wanted.shape[0]);
    for (Py_ssize_t i = 0; texts && i < wanted.shape[0]; i++) {
        const int32_t code = ((int32_t *)wanted.buf)[i];
        PyObject *one = NULL;
        if (code < 0 || (uint32_t)code > c->used)
            PyErr_Format(PyExc_IndexError, "code %d of %u", (int)code, (unsigned)c->used);
        else
            one = PyUnicode_DecodeUTF8(c->bytes + codes_start(c, (uint32_t)code),
                                       (Py_ssize_t)(c->ends[code] - codes_start(c, (uint32_t)code)), NULL);
        if (one)
            PyList_SET_ITEM(texts, i, one);
        else
            Py_CLEAR(texts);
    }
    PyBuffer_Release(&wanted);
    return texts;
}

static PyObject *Columns_size(Columns *self, PyObject *argument)
{
    const column_codes *c = codes_at(self, (int)PyLong_AsLong(argument));
    return c ? PyLong_FromUnsignedLong(c->used + 1ul) : NULL;
}

/* counts(table, out) */
static PyObject *Columns_counts(Columns *self, PyObject *args)
{
    int table;
    PyObject *object;
    Py_buffer out;
    if (!PyArg_ParseTuple(args, "iO", &table, &object))
        return NULL;
    const column_codes *c = codes_at(self, table);
    const Py_ssize_t size = c ? (Py_ssize_t)c->used + 1 : 0;
    if (!c || array_get(object, "out", 'q', 1, &size, 1, 1, &out) < 0)
        return NULL;
    for (Py_ssize_t i = 0; i < size; i++)
        ((int64_t *)out.buf)[i] = c->counts[i];
    PyBuffer_Release(&out);
    Py_RETURN_NONE;
}

/* shuffle(order, position, words) */
static PyObject *shuffle(PyObject *module, PyObject *args)
{
    PyObject *order_object, *words_object;
    Py_buffer order, words;
    Py_ssize_t position, used = 0;
    const Py_ssize_t any = -1;
    (void)module;
    if (!PyArg_ParseTuple(args, "OnO", &order_object, &position, &words_object) ||
        array_get(order_object, "order", 'i', 1, &any, 1, 1, &order) < 0)
        return NULL;
    if (array_get(words_object, "words", 'q', 1, &any, 0, 1, &words) < 0) {
        PyBuffer_Release(&order);
        return NULL;
    }
    int32_t *order_N = order.buf;
    const int64_t *words_W = words.buf;
    position = position < order.shape[0] ? position : order.shape[0] - 1;
    for (; position > 0 && used < words.shape[0]; position--) {
        int bits = 0;
        for (Py_ssize_t left = position + 1; left; left >>= 1)
            bits++;
        int64_t drawn = position + 1;
        while (drawn > position && used < words.shape[0])
            drawn = (words_W[used++] & INT64_C(0xffffffff)) >> (32 - bits);
        if (drawn > position)
            break;
        const int32_t kept = order_N[position];
        order_N[position] = order_N[drawn];
        order_N[drawn] = kept;
    }
    PyBuffer_Release(&words);
    PyBuffer_Release(&order);
    return PyLong_FromSsize_t(position);
}

static PyMethodDef methods[] = {
    {"read", (PyCFunction)Columns_read, METH_VARARGS,
     "read(block, separator, quoted, tables, out): write the codes of each line's columns to out[tables[column]]; the rows "
     "read, and 0 or what is wrong with the next: -1 too few columns, -2 too many, -3 quotes."},
    {"texts", (PyCFunction)Columns_texts, METH_VARARGS, "texts(table, codes): the texts of int32 codes [N]."},
    {"size", (PyCFunction)Columns_size, METH_O, "size(table): 1 + the distinct texts."},
    {"counts", (PyCFunction)Columns_counts, METH_VARARGS, "counts(table, out): write rows per code to int64 [size]."},
    {NULL}};

static PyType_Slot Columns_slots[] = {{Py_tp_new, Columns_new},
                                      {Py_tp_dealloc, Columns_free},
                                      {Py_tp_methods, methods},
                                      {Py_tp_doc, "Columns(tables): the distinct texts of columns, as they are read."},
                                      {0, NULL}};

static PyType_Spec Columns_spec = {"training.native._columns.Columns", sizeof(Columns), 0, Py_TPFLAGS_DEFAULT,
                                   Columns_slots};

static PyMethodDef functions[] = {
    {"shuffle", shuffle, METH_VARARGS,
     "shuffle(order, position, words): go on with Python's random.shuffle of int32 [N] from `position` down, drawing from "
     "32-bit words in int64 [W]; the position reached, 0 when done."},
    {NULL}};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Columns_spec, NULL);
    const int added = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return added;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "training.native._columns",
                                        "Delimited text to codes.", 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__columns(void) { return PyModuleDef_Init(&definition); }
