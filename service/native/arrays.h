/* Arrays of other modules as buffers, checked: element type, axes, lengths. No numpy headers. */
#ifndef CTR_ARRAYS_H
#define CTR_ARRAYS_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdint.h>
#include <string.h>

/* Whether a buffer's elements are of `format`: f float32, h int16, i int32, q int64; r rows of an embedding table, float32,
   float16 or int8. */
static int array_has(const Py_buffer *view, char format)
{
    const char *found = view->format ? view->format : "B";
    switch (format) {
    case 'f': return view->itemsize == 4 && !strcmp(found, "f");
    case 'h': return view->itemsize == 2 && !strcmp(found, "h");
    case 'i': return view->itemsize == 4 && (!strcmp(found, "i") || !strcmp(found, "l"));
    case 'r': return !strcmp(found, "f") || !strcmp(found, "e") || !strcmp(found, "b");
    default: return view->itemsize == 8 && (!strcmp(found, "q") || !strcmp(found, "l"));
    }
}

static const char *array_named(char format)
{
    switch (format) {
    case 'f': return "float32";
    case 'h': return "int16";
    case 'i': return "int32";
    case 'r': return "int8, float16 or float32";
    default: return "int64";
    }
}

/* An aligned array of `format` and `shape`, -1 in the shape for any length; strided in any way if `contiguous` is 0.
   Else ValueError and -1. */
static int array_get(PyObject *object, const char *name, char format, int axes, const Py_ssize_t *shape, int writable,
                     int contiguous, Py_buffer *view)
{
    const int flags = PyBUF_FORMAT | (contiguous ? PyBUF_ND : PyBUF_STRIDES) | (writable ? PyBUF_WRITABLE : 0);
    if (PyObject_GetBuffer(object, view, flags) < 0) {
        PyErr_Clear();
        PyErr_Format(PyExc_ValueError, "%s: got a %.80s, expected a %s%sarray", name, Py_TYPE(object)->tp_name,
                     writable ? "writable " : "", contiguous ? "C-contiguous " : "");
        return -1;
    }
    int fits = view->ndim == axes && array_has(view, format) && (uintptr_t)view->buf % (uintptr_t)view->itemsize == 0;
    for (int i = 0; fits && i < axes; i++)
        fits = shape[i] < 0 || view->shape[i] == shape[i];
    for (int i = 0; fits && !contiguous && i < axes; i++)
        fits = view->strides[i] % view->itemsize == 0;
    if (fits)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s: got %d axes of format %s, the last of length %zd; expected %d axes of %s, "
                 "aligned, the last of length %zd (-1: any)", name, view->ndim, view->format ? view->format : "B",
                 view->ndim ? view->shape[view->ndim - 1] : (Py_ssize_t)0, axes,
                 array_named(format), shape[axes - 1]);
    PyBuffer_Release(view);
    return -1;
}

#endif
