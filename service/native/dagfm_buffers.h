/* Arguments that are arrays: element type, shape, contiguity and alignment checked; a part of dagfm.c. */
#include <Python.h>
#include <stdint.h>
#include <string.h>

/* A C-contiguous array of `format` (f, i, q; r: rows of a table, any of f, e, b) and `shape`; -1 in the shape is any
   length. Else ValueError, -1. */
static int get_array(PyObject *object, const char *name, char format, int axes, const Py_ssize_t *shape, int writable,
                     Py_buffer *view)
{
    if (PyObject_GetBuffer(object, view, PyBUF_ND | PyBUF_FORMAT | (writable ? PyBUF_WRITABLE : 0)) < 0) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s: got a %.80s, expected a %sC-contiguous array", name, Py_TYPE(object)->tp_name,
                     writable ? "writable " : "");
        return -1;
    }
    const char *found = view->format ? view->format : "B";
    const int rows = format == 'r' && (!strcmp(found, "f") || !strcmp(found, "e") || !strcmp(found, "b"));
    const int size = format == 'q' ? 8 : rows ? (*found == 'f' ? 4 : *found == 'e' ? 2 : 1) : 4;
    const int integer = format == 'i' && (!strcmp(found, "i") || !strcmp(found, "l"));
    const int wide = format == 'q' && (!strcmp(found, "q") || !strcmp(found, "l"));
    const int known = rows || integer || wide || (format == 'f' && !strcmp(found, "f"));
    int fits = view->ndim == axes && view->itemsize == size && known && (uintptr_t)view->buf % (uintptr_t)size == 0;
    for (int i = 0; fits && i < axes; i++)
        fits = shape[i] < 0 || view->shape[i] == shape[i];
    if (fits)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: got %d axes of format %s, the last of length %zd; expected %d axes of %s%d, "
                 "aligned, the last of length %zd (-1: any)", name, view->ndim, found,
                 view->ndim ? view->shape[view->ndim - 1] : (Py_ssize_t)0, axes,
                 format == 'f' ? "float" : format == 'r' ? "int8, float16 or float" : "int", 8 * size, shape[axes - 1]);
    PyBuffer_Release(view);
    return -1;
}
