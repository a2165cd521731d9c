/* levels.h told to Python. */
#ifndef LEVEL_NAMES_H
#define LEVEL_NAMES_H

#include <Python.h>

#include "levels.h"

#define LEVELS_METHOD                                                                                                  \
    {"levels", level_names, METH_NOARGS, "levels() -> names of the instruction sets this machine has, best first"}

static PyObject *level_names(PyObject *module, PyObject *none)
{
    (void)module, (void)none;
    PyObject *names = PyList_New(0);
    for (int i = 0; names && i < LEVEL_COUNT; i++) {
        if (!LEVEL[i].supported())
            continue;
        PyObject *name = PyUnicode_FromString(LEVEL[i].name);
        if (!name || PyList_Append(names, name) < 0)
            Py_CLEAR(names);
        Py_XDECREF(name);
    }
    return names;
}

/* As level_find, with a ValueError. */
static int level_asked(const char *name)
{
    const int found = level_find(name);
    if (found < 0)
        PyErr_Format(PyExc_ValueError, "level: got %s, which this machine has not; see levels()", name);
    return found;
}

#endif
