/* service.native._encode: the loops over values of a request that would take Python longer than scoring takes.

   Functions write into arrays of the caller and return -1, or the position of the first value that is not what it has
   to be: what is wrong with it is then said by the Python that called. The interpreter lock is held throughout: every
   function reads Python objects or takes a few microseconds. */
#include "encode_table.h"

#include <math.h>

#define NO_OVERFLOW 700.0 /* exp of more overflows a double; exp of this is already a probability of 0 in float32 */

/* An exact integer in [0, size), else -1. */
static inline int64_t id_of(PyObject *value, int64_t size)
{
    int overflow;
    if (!PyLong_CheckExact(value))
        return -1;
    const long long id = PyLong_AsLongLongAndOverflow(value, &overflow);
    return overflow || id < 0 || id >= size ? -1 : id;
}

/* check_ids(values, sizes, out): ids [N·F], row by row, as int32 [N, F]. */
static PyObject *check_ids(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer sizes_F, out_NF;
    if (count != 3 || !PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "check_ids(values: list, sizes, out)");
        return NULL;
    }
    const Py_ssize_t any[] = {-1, -1};
    if (array_get(args[1], "sizes", 'q', 1, any, 0, 1, &sizes_F) < 0)
        return NULL;
    const Py_ssize_t fields = sizes_F.shape[0], of_ids[] = {-1, fields};
    Py_ssize_t bad = FAILED;
    if (array_get(args[2], "out", 'i', 2, of_ids, 1, 1, &out_NF) == 0) {
        const int64_t *sizes = sizes_F.buf;
        int32_t *out = out_NF.buf;
        const Py_ssize_t values = PyList_GET_SIZE(args[0]);
        if (values != out_NF.shape[0] * fields)
            PyErr_Format(PyExc_ValueError, "values: got %zd, expected %zd of %zd fields each", values, out_NF.shape[0],
                         fields);
        else
            bad = FINE;
        for (Py_ssize_t i = 0, field = 0; bad == FINE && i < values; i++, field = field + 1 < fields ? field + 1 : 0) {
            const int64_t id = id_of(PyList_GET_ITEM(args[0], i), sizes[field]);
            out[i] = (int32_t)id;
            if (id < 0)
                bad = i;
        }
        PyBuffer_Release(&out_NF);
    }
    PyBuffer_Release(&sizes_F);
    return answered(bad);
}

/* check_column(values, size, out): ids [N] of one field as int32 [N], in any stride. */
static PyObject *check_column(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer out_N;
    if (count != 3 || !PyList_CheckExact(args[0])) {
        PyErr_SetString(PyExc_TypeError, "check_column(values: list, size, out)");
        return NULL;
    }
    const int64_t size = PyLong_AsLongLong(args[1]);
    const Py_ssize_t of_ids[] = {PyList_GET_SIZE(args[0])};
    if ((size == -1 && PyErr_Occurred()) || array_get(args[2], "out", 'i', 1, of_ids, 1, 0, &out_N) < 0)
        return NULL;
    Py_ssize_t bad = FINE;
    char *out = out_N.buf;
    for (Py_ssize_t i = 0; bad == FINE && i < of_ids[0]; i++, out += out_N.strides[0]) {
        const int64_t id = id_of(PyList_GET_ITEM(args[0], i), size);
        *(int32_t *)out = (int32_t)id;
        if (id < 0)
            bad = i;
    }
    PyBuffer_Release(&out_N);
    return answered(bad);
}

/* count(ids, wanted, counts): how often `wanted` occurs in each column of ids [N, F], into int64 [F]; returns the sum. */
static PyObject *count_ids(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer ids_NF, counts_F;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "count(ids, wanted, counts)");
        return NULL;
    }
    const Py_ssize_t any[] = {-1, -1};
    const long wanted = PyLong_AsLong(args[1]);
    if ((wanted == -1 && PyErr_Occurred()) || array_get(args[0], "ids", 'i', 2, any, 0, 1, &ids_NF) < 0)
        return NULL;
    const Py_ssize_t fields = ids_NF.shape[1], of_counts[] = {fields};
    int64_t sum = -1;
    if (array_get(args[2], "counts", 'q', 1, of_counts, 1, 1, &counts_F) == 0) {
        int64_t *counts = counts_F.buf;
        const int32_t *ids = ids_NF.buf;
        memset(counts, 0, (size_t)fields * sizeof *counts);
        sum = 0;
        for (Py_ssize_t i = 0; i < ids_NF.shape[0] * fields; i++)
            sum += ids[i] == wanted; /* the usual answer is 0, and this loop is vectorised */
        for (Py_ssize_t n = 0; sum && n < ids_NF.shape[0]; n++)
            for (Py_ssize_t f = 0; f < fields; f++)
                counts[f] += ids[n * fields + f] == wanted;
        PyBuffer_Release(&counts_F);
    }
    PyBuffer_Release(&ids_NF);
    return sum < 0 ? NULL : PyLong_FromLongLong(sum);
}

/* probabilities(logits, slope, intercept, out): σ(slope · logit + intercept) of float32 [N], computed in double. */
static PyObject *probabilities(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer logits_N, out_N;
    if (count != 4) {
        PyErr_SetString(PyExc_TypeError, "probabilities(logits, slope, intercept, out)");
        return NULL;
    }
    const double slope = PyFloat_AsDouble(args[1]), intercept = PyFloat_AsDouble(args[2]);
    const Py_ssize_t any[] = {-1};
    if (PyErr_Occurred() || array_get(args[0], "logits", 'f', 1, any, 0, 1, &logits_N) < 0)
        return NULL;
    Py_ssize_t bad = FAILED;
    if (array_get(args[3], "out", 'f', 1, logits_N.shape, 1, 1, &out_N) == 0) {
        const float *logits = logits_N.buf;
        float *out = out_N.buf;
        bad = FINE;
        for (Py_ssize_t i = 0; bad == FINE && i < logits_N.shape[0]; i++) {
            const double against = -(slope * (double)logits[i] + intercept);
            if (!isfinite(against))
                bad = i;
            out[i] = (float)(1.0 / (1.0 + exp(against < NO_OVERFLOW ? against : NO_OVERFLOW)));
        }
        PyBuffer_Release(&out_N);
    }
    PyBuffer_Release(&logits_N);
    return answered(bad);
}

/* count_up_to(values, bounds, counts): add to int64 [B] how many of float32 [N] are at most each bound; their sum. */
static PyObject *count_up_to(PyObject *Py_UNUSED(module), PyObject *const *args, Py_ssize_t count)
{
    Py_buffer values_N, bounds_B, counts_B;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "count_up_to(values, bounds, counts)");
        return NULL;
    }
    const Py_ssize_t any[] = {-1};
    if (array_get(args[0], "values", 'f', 1, any, 0, 1, &values_N) < 0)
        return NULL;
    double sum = 0;
    int done = 0;
    if (array_get(args[1], "bounds", 'f', 1, any, 0, 1, &bounds_B) == 0) {
        if (array_get(args[2], "counts", 'q', 1, bounds_B.shape, 1, 1, &counts_B) == 0) {
            const float *values = values_N.buf, *bounds = bounds_B.buf;
            for (Py_ssize_t b = 0; b < bounds_B.shape[0]; b++) {
                int32_t below = 0;
                for (Py_ssize_t i = 0; i < values_N.shape[0]; i++)
                    below += values[i] <= bounds[b]; /* vectorised: cheaper than sorting or searching */
                ((int64_t *)counts_B.buf)[b] += below;
            }
            for (Py_ssize_t i = 0; i < values_N.shape[0]; i++)
                sum += (double)values[i];
            done = 1;
            PyBuffer_Release(&counts_B);
        }
        PyBuffer_Release(&bounds_B);
    }
    PyBuffer_Release(&values_N);
    return done ? PyFloat_FromDouble(sum) : NULL;
}

#define FAST(function) (PyCFunction)(void (*)(void)) function

static PyMethodDef functions[] = {
    {"encode_row", FAST(encode_row), METH_FASTCALL,
     "encode_row(tables, names, row, out, missing, unknown): write the number of row[name] for each name and its table to "
     "int32 [F], passing over tables that are None; -1, or the index of the first name whose value is of a wrong type."},
    {"check_ids", FAST(check_ids), METH_FASTCALL,
     "check_ids(values, sizes, out): write ids [N·F], row by row, to int32 [N, F]; -1, or the position of the first value "
     "that is no id of its field."},
    {"check_column", FAST(check_column), METH_FASTCALL,
     "check_column(values, size, out): write ids [N] of one field to int32 [N]; -1, or the position of the first value "
     "that is no id of it."},
    {"count", FAST(count_ids), METH_FASTCALL,
     "count(ids, wanted, counts): write to int64 [F] how often `wanted` occurs in each column of int32 [N, F]; the sum."},
    {"count_up_to", FAST(count_up_to), METH_FASTCALL,
     "count_up_to(values, bounds, counts): add to int64 [B] how many of float32 [N] are at most each bound; their sum."},
    {"probabilities", FAST(probabilities), METH_FASTCALL,
     "probabilities(logits, slope, intercept, out): write float32 [N]; -1, or the position of the first logit that is not "
     "finite."},
    {NULL}};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Table_spec, NULL);
    *(PyObject **)PyModule_GetState(module) = type; /* owned; encode_row knows its tables by it */
    return type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    Py_VISIT(*(PyObject **)PyModule_GetState(module));
    return 0;
}

static int clear(PyObject *module)
{
    Py_CLEAR(*(PyObject **)PyModule_GetState(module));
    return 0;
}

static void release(void *module) { clear(module); }

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "service.native._encode", "Values to ids, logits to probabilities.", sizeof(PyObject *),
    functions, slots, traverse, clear, release};

PyMODINIT_FUNC PyInit__encode(void) { return PyModuleDef_Init(&definition); }
