/* training.native._propagation: the CPython side of propagation_core.h. Buffers in, buffers filled; no numpy headers. */
#define _GNU_SOURCE
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "propagation_core.h"

#include "../../service/native/arrays.h"
#include "level_names.h"
#include "threads.h"

#include <stdatomic.h>

#define NUMBERS_AT_A_TIME 4096
#define MOST_THREADS 4096

enum { BASE, MESSAGES, STATE, GRAD_STATE, GRAD_BASE, GRAD, SUMS, ARRAYS };

typedef struct {
    propagation layer;
    void (*function)(const propagation *, size_t, size_t);
    size_t step; /* nodes at a time */
    _Atomic size_t next;
} Job;

/* What one thread does: nodes, as long as there are some. A node's numbers are the same whoever computes them. */
static void work(void *argument)
{
    Job *job = argument;
    const size_t nodes = job->layer.nodes;
    for (size_t first; (first = atomic_fetch_add(&job->next, job->step)) < nodes;)
        job->function(&job->layer, first, nodes - first < job->step ? nodes : first + job->step);
}

/* Arrays held of a call; absent ones are NULL and have no view. */
typedef struct {
    Py_buffer view[ARRAYS];
    int held[ARRAYS];
} Arrays;

static void release(Arrays *arrays)
{
    for (int i = 0; i < ARRAYS; i++)
        if (arrays->held[i])
            PyBuffer_Release(&arrays->view[i]);
}

/* The array of this name, or NULL for None; its [P, N, Q] are those of the first one got. */
static int get(Arrays *arrays, int which, PyObject *object, const char *name, propagation *p, int writable, void **to)
{
    *to = NULL;
    if (object == Py_None)
        return 0;
    Py_buffer *view = &arrays->view[which];
    const char format = which == GRAD_BASE || which == SUMS || !p->halved ? 'f' : 'h';
    const Py_ssize_t shape[] = {(Py_ssize_t)p->planes, (Py_ssize_t)p->nodes, (Py_ssize_t)p->width};
    if ((which == SUMS ? array_get(object, name, 'f', 1, shape + 1, writable, 1, view)
                       : array_get(object, name, format, 3, shape, writable, 1, view)) < 0)
        return -1;
    arrays->held[which] = 1;
    *to = view->buf;
    return 0;
}

/* P, N, Q and the precision, from an array that every call has. */
static int measure(PyObject *object, const char *name, propagation *p)
{
    static const Py_ssize_t any[] = {-1, -1, -1};
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_ND) < 0) {
        PyErr_Format(PyExc_ValueError, "%s: expected a C-contiguous array", name);
        return -1;
    }
    p->halved = view.format && !strcmp(view.format, "h");
    PyBuffer_Release(&view);
    if (array_get(object, name, p->halved ? 'h' : 'f', 3, any, 0, 1, &view) < 0)
        return -1;
    p->planes = (size_t)view.shape[0], p->nodes = (size_t)view.shape[1], p->width = (size_t)view.shape[2];
    PyBuffer_Release(&view);
    if (p->planes == 1 || p->width == 1)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: got %zu planes of %zu numbers per node, expected one of both to be 1", name,
                 p->planes, p->width);
    return -1;
}

static int carry_out(propagation *p, int back, int threads, const char *name)
{
    if (threads < 1 || threads > MOST_THREADS) {
        PyErr_Format(PyExc_ValueError, "threads: got %d, expected 1 to %d", threads, MOST_THREADS);
        return -1;
    }
    const int found = name ? level_asked(name) : propagation_level(p);
    if (found < 0)
        return -1;
    const size_t step = p->planes == 1 && p->width ? NUMBERS_AT_A_TIME / p->width : NUMBERS_AT_A_TIME;
    Job job = {.layer = *p, .step = step ? step : 1};
    job.function = back ? PROPAGATION[found].backward : PROPAGATION[found].forward;
    on_threads(work, &job, threads);
    return 0;
}

static PyObject *done(Arrays *arrays, int failed)
{
    release(arrays);
    if (failed)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *forward(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *base, *messages, *state, *sums;
    int threads;
    const char *name = NULL;
    if (!PyArg_ParseTuple(args, "OOOOi|z", &base, &messages, &state, &sums, &threads, &name))
        return NULL;
    if ((messages == Py_None) != (state == Py_None) || sums == Py_None)
        return PyErr_Format(PyExc_ValueError, "messages, state: expected both or neither, and sums");
    propagation p = {0};
    Arrays arrays = {0};
    const int failed = measure(base, "base", &p) < 0 || get(&arrays, BASE, base, "base", &p, 0, (void **)&p.base) < 0 ||
                       get(&arrays, MESSAGES, messages, "messages", &p, 0, (void **)&p.messages) < 0 ||
                       get(&arrays, STATE, state, "state", &p, 1, &p.state) < 0 ||
                       get(&arrays, SUMS, sums, "sums", &p, 1, (void **)&p.sums_N) < 0 ||
                       carry_out(&p, 0, threads, name) < 0;
    return done(&arrays, failed);
}

static PyObject *backward(PyObject *module, PyObject *args)
{
    (void)module;
    PyObject *base, *messages, *grad_state, *grad_sums, *grad_base, *grad;
    int threads;
    const char *name = NULL;
    if (!PyArg_ParseTuple(args, "OOOOOOi|z", &base, &messages, &grad_state, &grad_sums, &grad_base, &grad, &threads, &name))
        return NULL;
    if ((base == Py_None) != (messages == Py_None) || grad_sums == Py_None || grad_base == Py_None)
        return PyErr_Format(PyExc_ValueError, "base, messages: expected both or neither, and grad_sums and grad_base");
    propagation p = {0};
    Arrays arrays = {0};
    const int failed = measure(grad, "grad", &p) < 0 || get(&arrays, BASE, base, "base", &p, 0, (void **)&p.base) < 0 ||
                       get(&arrays, MESSAGES, messages, "messages", &p, 0, (void **)&p.messages) < 0 ||
                       get(&arrays, GRAD_STATE, grad_state, "grad_state", &p, 0, (void **)&p.grad_state) < 0 ||
                       get(&arrays, SUMS, grad_sums, "grad_sums", &p, 0, (void **)&p.grad_sums_N) < 0 ||
                       get(&arrays, GRAD_BASE, grad_base, "grad_base", &p, 1, (void **)&p.grad_base) < 0 ||
                       get(&arrays, GRAD, grad, "grad", &p, 1, &p.grad) < 0 || carry_out(&p, 1, threads, name) < 0;
    return done(&arrays, failed);
}

static PyMethodDef methods[] = {
    {"forward", forward, METH_VARARGS, "forward(base, messages, state, sums, threads, level=None)"},
    {"backward", backward, METH_VARARGS,
     "backward(base, messages, grad_state, grad_sums, grad_base, grad, threads, level=None)"},
    LEVELS_METHOD,
    {NULL, NULL, 0, NULL},
};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_propagation", NULL, -1, methods, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__propagation(void) { return PyModule_Create(&module); }
