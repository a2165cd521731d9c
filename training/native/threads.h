/* Work shared out among the threads of the OpenMP runtime that torch has loaded, found by its name: threads of another
   pool would wait for torch's own, which after each operator spin on their cores for milliseconds. Where there is none,
   one thread does all. */
#ifndef THREADS_H
#define THREADS_H

#include <Python.h>

#include <dlfcn.h>

typedef void parallel_fn(void (*)(void *), void *, unsigned, unsigned);

/* work(job) on each of `threads` threads, without the interpreter's lock. */
static void on_threads(void (*work)(void *), void *job, int threads)
{
    parallel_fn *parallel = NULL;
    if (threads > 1)
        *(void **)&parallel = dlsym(RTLD_DEFAULT, "GOMP_parallel");
    Py_BEGIN_ALLOW_THREADS
    if (parallel)
        parallel(work, job, (unsigned)threads, 0);
    else
        work(job);
    Py_END_ALLOW_THREADS
}

#endif
