"""Shadow scoring: the other model scores what one model answered, beside the request path and never on it.

    offer  →  socket  →  child process: read, score, compare  →  event store
                                                             ↘  sums  →  metrics of the worker

Every worker has a child of its own. The kernel's buffer of the socket is the bounded queue; what does not fit is
dropped and counted.

Nothing is imported here: the child's first module is in this package.
"""
