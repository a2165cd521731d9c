/* service.native._dagfm: the CPython side of dagfm_core.h. Buffers in, logits into a buffer; no numpy headers.

   Everything the core relies on (element types, shapes, contiguity) is checked here. Work areas are kept in a list
   that only the holder of the interpreter lock touches: a run takes one and gives it back, so one is allocated the
   first time that many runs overlap, and none after that. The lock is released while scoring. */
#include "arrays.h"
#include "dagfm_core.h"

typedef struct {
    PyObject_HEAD
    dagfm_model *model;
    dagfm_work *free_work;
    Py_buffer embedding, scale; /* held: the model reads the caller's table */
} Model;

/* ---------------------------------------------------------------------------------------------------- construction */

typedef struct {
    PyObject *object;
    const char *name;
    char format;
    int axes;
    Py_ssize_t shape[4];
    Py_buffer view;
} Argument;

enum { EMBEDDING, SCALE, SIZES, CONNECTION, P, Q, READOUT, ARGUMENTS };

static void release(Argument *arguments, int count)
{
    for (int i = 0; i < count; i++)
        if (arguments[i].view.obj)
            PyBuffer_Release(&arguments[i].view);
}

static dagfm_stored stored_as(const Argument *arguments)
{
    const char format = *arguments[EMBEDDING].view.format;
    return format == 'b' ? DAGFM_INT8 : format == 'e' ? DAGFM_FLOAT16 : DAGFM_FLOAT32;
}

/* Rows of the table named by the sizes; -1 with ValueError if they are not the table's. */
static int check_sizes(const Argument *arguments)
{
    const int64_t *sizes_F = arguments[SIZES].view.buf;
    const Py_ssize_t rows = arguments[EMBEDDING].view.shape[0];
    int64_t sum = 0;
    for (Py_ssize_t f = 0; f < arguments[SIZES].view.shape[0]; f++) {
        if (sizes_F[f] < 1 || sizes_F[f] > rows - sum) {
            sum = -1;
            break;
        }
        sum += sizes_F[f];
    }
    if (sum == rows)
        return 0;
    PyErr_Format(PyExc_ValueError, "sizes: they do not add up to the %zd rows of the embedding", rows);
    return -1;
}

/* Buffers of all arguments, with the shapes that embedding, sizes and readout imply. */
static int get_arguments(Argument *arguments)
{
    const int order[] = {EMBEDDING, SCALE, SIZES, READOUT, CONNECTION, P, Q};
    for (int i = 0; i < ARGUMENTS; i++) {
        Argument *a = &arguments[order[i]];
        if (a->object == Py_None && (order[i] == Q || (order[i] == SCALE && stored_as(arguments) != DAGFM_INT8)))
            continue;
        if (array_get(a->object, a->name, a->format, a->axes, a->shape, 0, 1, &a->view) < 0)
            return -1;
        const Py_ssize_t length = a->view.shape[a->axes - 1];
        if (order[i] == EMBEDDING) {
            arguments[SCALE].shape[0] = a->view.shape[0];
            arguments[P].shape[3] = arguments[Q].shape[3] = length;
        }
        if (order[i] == SIZES)
            arguments[READOUT].shape[1] = arguments[CONNECTION].shape[0] = arguments[CONNECTION].shape[1] =
                arguments[P].shape[1] = arguments[P].shape[2] = arguments[Q].shape[1] = arguments[Q].shape[2] = length;
        if (order[i] == READOUT)
            arguments[P].shape[0] = arguments[Q].shape[0] = a->view.shape[0] - 1;
    }
    return check_sizes(arguments);
}

static int within_limits(Py_ssize_t fields, Py_ssize_t context, Py_ssize_t dimension, Py_ssize_t layers)
{
    if (fields <= DAGFM_LIMIT && 1 <= dimension && dimension <= DAGFM_LIMIT && 1 <= layers && layers <= DAGFM_LIMIT &&
        0 <= context && context < fields)
        return 1;
    PyErr_Format(PyExc_ValueError, "got %zd fields, %zd of them context, %zd dimensions, %zd layers; expected a candidate "
                 "field, a dimension and a layer, at most %d of each", fields, context, dimension, layers, DAGFM_LIMIT);
    return 0;
}

static int build(Model *self, const Argument *arguments, Py_ssize_t context, float bias, const char *level_name)
{
    const Py_ssize_t fields = arguments[SIZES].view.shape[0], dimension = arguments[EMBEDDING].view.shape[1];
    const Py_ssize_t layers = arguments[READOUT].view.shape[0] - 1;
    const dagfm_level *level = dagfm_find_level(level_name);
    if (!within_limits(fields, context, dimension, layers))
        return -1;
    if (!level) {
        PyErr_Format(PyExc_ValueError, "level: this machine has no %s", level_name);
        return -1;
    }
    const dagfm_weights weights = {
        arguments[EMBEDDING].view.buf, arguments[SCALE].view.buf, arguments[CONNECTION].view.buf,
        arguments[P].view.buf, arguments[Q].view.buf, arguments[READOUT].view.buf, arguments[SIZES].view.buf,
        (int)fields, (int)context, (int)dimension, (int)layers, bias, stored_as(arguments),
    };
    self->model = dagfm_build(&weights, level);
    self->free_work = self->model ? dagfm_new_work(self->model) : NULL;
    if (!self->free_work) {
        PyErr_NoMemory();
        return -1;
    }
    return 0;
}

static PyObject *Model_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    static char *names[] = {"embedding", "scale", "sizes", "connection", "p", "q", "readout", "bias", "context_fields",
                            "level", NULL};
    Argument a[ARGUMENTS] = {
        [EMBEDDING] = {.name = "embedding", .format = 'r', .axes = 2, .shape = {-1, -1}},
        [SCALE] = {.name = "scale", .format = 'f', .axes = 2, .shape = {-1, 1}},
        [SIZES] = {.name = "sizes", .format = 'q', .axes = 1, .shape = {-1}},
        [CONNECTION] = {.name = "connection", .format = 'f', .axes = 2},
        [P] = {.name = "p", .format = 'f', .axes = 4},
        [Q] = {.name = "q", .format = 'f', .axes = 4},
        [READOUT] = {.name = "readout", .format = 'f', .axes = 2, .shape = {-1, -1}},
    };
    float bias;
    Py_ssize_t context;
    const char *level = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OOOOOOOfn|z", names, &a[EMBEDDING].object, &a[SCALE].object,
                                     &a[SIZES].object, &a[CONNECTION].object, &a[P].object, &a[Q].object,
                                     &a[READOUT].object, &bias, &context, &level))
        return NULL;
    Model *self = (Model *)type->tp_alloc(type, 0);
    if (!self)
        return NULL;
    if (get_arguments(a) < 0 || build(self, a, context, bias, level) < 0) {
        release(a, ARGUMENTS);
        Py_DECREF(self);
        return NULL;
    }
    self->embedding = a[EMBEDDING].view, self->scale = a[SCALE].view;
    release(a + SCALE + 1, ARGUMENTS - SCALE - 1);
    return (PyObject *)self;
}

static void Model_dealloc(Model *self)
{
    PyTypeObject *type = Py_TYPE(self);
    while (self->free_work) {
        dagfm_work *next = self->free_work->next;
        dagfm_free_work(self->free_work);
        self->free_work = next;
    }
    dagfm_free(self->model);
    if (self->embedding.obj)
        PyBuffer_Release(&self->embedding);
    if (self->scale.obj)
        PyBuffer_Release(&self->scale);
    type->tp_free((PyObject *)self);
    Py_DECREF(type);
}

/* --------------------------------------------------------------------------------------------------------- scoring */

/* Score with a work area of its own, without the interpreter lock; place of a bad id, DAGFM_OK, or -2 with MemoryError. */
static int64_t run(Model *self, const int32_t *context_ids, const int32_t *candidate_ids, int64_t rows, float *logits)
{
    dagfm_work *work = self->free_work;
    int64_t bad;
    if (work)
        self->free_work = work->next;
    else if (!(work = dagfm_new_work(self->model))) {
        PyErr_NoMemory();
        return -2;
    }
    Py_BEGIN_ALLOW_THREADS
    bad = dagfm_score(self->model, work, context_ids, candidate_ids, rows, logits);
    Py_END_ALLOW_THREADS
    work->next = self->free_work;
    self->free_work = work;
    return bad;
}

static void complain(const dagfm_model *m, int64_t place)
{
    if (place < m->context)
        PyErr_Format(PyExc_ValueError, "context_ids: field %d has no such id", (int)place);
    else
        PyErr_Format(PyExc_ValueError, "candidate_ids: candidate %lld: field %d has no such id",
                     (long long)((place - m->context) / m->candidates),
                     m->context + (int)((place - m->context) % m->candidates));
}

static PyObject *Model_score(Model *self, PyObject *const *args, Py_ssize_t count)
{
    Py_buffer context_ids, candidate_ids, logits;
    const dagfm_model *m = self->model;
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "score(context_ids, candidate_ids, logits)");
        return NULL;
    }
    const Py_ssize_t of_context[] = {1, m->context}, of_candidates[] = {-1, m->candidates};
    if (array_get(args[0], "context_ids", 'i', 2, of_context, 0, 1, &context_ids) < 0)
        return NULL;
    int64_t bad = -2;
    if (array_get(args[1], "candidate_ids", 'i', 2, of_candidates, 0, 1, &candidate_ids) == 0) {
        const Py_ssize_t of_logits[] = {candidate_ids.shape[0]};
        if (array_get(args[2], "logits", 'f', 1, of_logits, 1, 1, &logits) == 0) {
            bad = run(self, context_ids.buf, candidate_ids.buf, candidate_ids.shape[0], logits.buf);
            PyBuffer_Release(&logits);
        }
        PyBuffer_Release(&candidate_ids);
    }
    PyBuffer_Release(&context_ids);
    if (bad >= 0)
        complain(m, bad);
    if (bad != DAGFM_OK)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *Model_level(Model *self, void *Py_UNUSED(closure))
{
    return PyUnicode_FromString(self->model->level->name);
}

/* ---------------------------------------------------------------------------------------------------------- module */

static PyMethodDef Model_methods[] = {
    {"score", (PyCFunction)(void (*)(void))Model_score, METH_FASTCALL,
     "score(context_ids, candidate_ids, logits): write logits [N] of candidates [N, Fx] in the context [1, Fc]."},
    {NULL}};

static PyGetSetDef Model_properties[] = {
    {"level", (getter)Model_level, NULL, "The instruction set it computes with.", NULL}, {NULL}};

static PyType_Slot Model_slots[] = {
    {Py_tp_new, Model_new},         {Py_tp_dealloc, Model_dealloc},
    {Py_tp_methods, Model_methods}, {Py_tp_getset, Model_properties},
    {Py_tp_doc, "One DAGFM, ready to score; safe to use from several threads at once."}, {0, NULL}};

static PyType_Spec Model_spec = {"service.native._dagfm.Model", sizeof(Model), 0, Py_TPFLAGS_DEFAULT, Model_slots};

/* levels() → the instruction sets of this machine, best first. */
static PyObject *levels(PyObject *Py_UNUSED(module), PyObject *Py_UNUSED(ignored))
{
    PyObject *names = PyList_New(0);
    for (size_t i = 0; names && i < DAGFM_LEVEL_COUNT; i++) {
        PyObject *name = DAGFM_LEVELS[i].supported() ? PyUnicode_FromString(DAGFM_LEVELS[i].name) : NULL;
        if (name && PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

static PyMethodDef functions[] = {
    {"levels", levels, METH_NOARGS, "The instruction sets that can be chosen on this machine, best first."}, {NULL}};

static int execute(PyObject *module)
{
    PyObject *type = PyType_FromModuleAndSpec(module, &Model_spec, NULL);
    const int result = type ? PyModule_AddType(module, (PyTypeObject *)type) : -1;
    Py_XDECREF(type);
    return result;
}

static PyModuleDef_Slot slots[] = {{Py_mod_exec, execute}, {0, NULL}};

static struct PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "service.native._dagfm", "DAGFM in C.", 0, functions, slots, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__dagfm(void) { return PyModuleDef_Init(&definition); }
