/* training.native._attention: the CPython side of attention_core.h. Buffers in, buffers filled; no numpy headers. */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "attention_core.h"
#include "level_names.h"
#include "threads.h"

#include <stdatomic.h>

#define ROWS_AT_A_TIME 16

enum { PROJECTED, OUT, GRAD_OUT, GRAD, ARRAYS };

typedef struct {
    const attention_functions *functions;
    attention_sizes sizes;
    void *array[ARRAYS];
    int64_t rows;
    int back;
    _Atomic int64_t next;
    _Atomic int out_of_memory;
} Job;

/* What one thread does: rows, as long as there are some. */
static void work(void *argument)
{
    Job *job = argument;
    attention_room room;
    if (attention_make_room(&job->sizes, &room) < 0) {
        atomic_store(&job->out_of_memory, 1);
        return;
    }
    for (int64_t first; (first = atomic_fetch_add(&job->next, ROWS_AT_A_TIME)) < job->rows;)
        for (int64_t row = first; row < job->rows && row < first + ROWS_AT_A_TIME; row++)
            if (job->back)
                job->functions->backward(&job->sizes, job->array[PROJECTED], job->array[OUT], job->array[GRAD_OUT],
                                     job->array[GRAD], (size_t)row, &room);
            else
                job->functions->forward(&job->sizes, job->array[PROJECTED], job->array[OUT], (size_t)row, &room);
    free(room.memory);
}

static int carry_out(Job *job, int threads)
{
    on_threads(work, job, threads);
    if (!atomic_load(&job->out_of_memory))
        return 0;
    PyErr_NoMemory();
    return -1;
}

/* float32 [B, F, …] or the bits of bfloat16, as int16; all arrays of a call alike. */
static int get(PyObject *object, const char *name, Py_ssize_t rows, const attention_sizes *s, int parts, int writable,
               Py_buffer *view)
{
    const int flags = PyBUF_FORMAT | PyBUF_ND | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) < 0) {
        PyErr_Format(PyExc_ValueError, "%s: expected a %sC-contiguous array", name, writable ? "writable " : "");
        return -1;
    }
    const char *format = view->format ? view->format : "B";
    const Py_ssize_t width = (Py_ssize_t)parts * s->heads * s->size;
    if (!strcmp(format, s->halved ? "h" : "f") && view->ndim == 3 && (rows < 0 || view->shape[0] == rows) &&
        view->shape[1] == s->fields && view->shape[2] == width)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: got %d axes of format %s, expected [rows, %d, %zd] of %s", name, view->ndim,
                 format, s->fields, width, s->halved ? "bfloat16's bits as int16" : "float32");
    PyBuffer_Release(view);
    return -1;
}

static int check_sizes(const attention_sizes *s, int threads)
{
    const int values[] = {s->fields, s->heads, s->size, threads};
    const char *const names[] = {"fields", "heads", "size", "threads"};
    for (int i = 0; i < 4; i++)
        if (values[i] < 1 || values[i] > ATTENTION_LIMIT) {
            PyErr_Format(PyExc_ValueError, "%s: got %d, expected 1 to %d", names[i], values[i], ATTENTION_LIMIT);
            return -1;
        }
    return 0;
}

static PyObject *call(PyObject *args, int back)
{
    PyObject *object[ARRAYS] = {NULL};
    int fields, heads, size, halved, threads;
    const char *name = NULL;
    if (back ? !PyArg_ParseTuple(args, "OOOOiiipi|z", &object[PROJECTED], &object[OUT], &object[GRAD_OUT],
                                 &object[GRAD], &fields, &heads, &size, &halved, &threads, &name)
             : !PyArg_ParseTuple(args, "OOiiipi|z", &object[PROJECTED], &object[OUT], &fields, &heads, &size, &halved,
                                 &threads, &name))
        return NULL;
    const int found = level_asked(name);
    if (found < 0)
        return NULL;
    Job job = {.functions = &ATTENTION[found], .back = back, .sizes = {fields, heads, size, halved, 0, 0}};
    if (check_sizes(&job.sizes, threads) < 0)
        return NULL;
    job.sizes = attention_padded(fields, heads, size, halved, found);
    static const char *const names[ARRAYS] = {"projected", "out", "grad_out", "grad"};
    static const int parts[ARRAYS] = {ATTENTION_PARTS, 1, 1, ATTENTION_PARTS};
    Py_buffer view[ARRAYS];
    int held = 0, done = -1;
    for (const int count = back ? ARRAYS : OUT + 1; held < count; held++) {
        const int writable = back ? held == GRAD : held == OUT;
        if (get(object[held], names[held], held ? view[0].shape[0] : -1, &job.sizes, parts[held], writable,
                &view[held]) < 0)
            goto release;
        job.array[held] = view[held].buf;
    }
    job.rows = view[0].shape[0];
    done = carry_out(&job, threads);
release:
    for (int i = 0; i < held; i++)
        PyBuffer_Release(&view[i]);
    if (done < 0)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *forward(PyObject *module, PyObject *args)
{
    (void)module;
    return call(args, 0);
}

static PyObject *backward(PyObject *module, PyObject *args)
{
    (void)module;
    return call(args, 1);
}

static PyMethodDef methods[] = {
    {"forward", forward, METH_VARARGS, "forward(projected, out, fields, heads, size, halved, threads, level=None)"},
    {"backward", backward, METH_VARARGS,
     "backward(projected, out, grad_out, grad, fields, heads, size, halved, threads, level=None)"},
    LEVELS_METHOD,
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_attention", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__attention(void) { return PyModule_Create(&module); }
