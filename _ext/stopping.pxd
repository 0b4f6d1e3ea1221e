# Whether to go on: memory and costs may fail, a caller may have stopped all, Ctrl-C may have been pressed.

from cpython.exc cimport PyErr_CheckSignals
from cpython.ref cimport PyObject
from libc.stdint cimport int64_t, uint8_t

cdef extern from "<time.h>" nogil:
    struct timespec:
        long long tv_sec
        long tv_nsec
    int timespec_get(timespec *, int)
    enum:
        TIME_UTC

cdef enum:
    BETWEEN_CLOCKS = 65536        # cells of work between two looks at the clock
    BETWEEN_SIGNALS = 50000000    # nanoseconds between two looks at the signals


# What all threads see.
ctypedef struct Stop:
    volatile int now
    const uint8_t *asked          # by the caller; NULL if it cannot
    PyObject *errors              # list of what Python raised


# What a thread keeps: only the caller's looks at signals.
ctypedef struct Watch:
    Stop *stop
    bint is_caller
    int64_t work                  # since the last look at the clock
    int64_t looked                # when it looked at the signals


cdef inline bint stopped(Watch *watch, int64_t work) noexcept nogil:
    """Whether to end, asked after so much work."""
    if watch.is_caller:
        watch.work += work
        if watch.work > BETWEEN_CLOCKS:
            watch.work = 0
            look(watch)
    if watch.stop.asked != NULL and (<const volatile uint8_t *> watch.stop.asked)[0]:
        watch.stop.now = 1
    return watch.stop.now != 0


cdef inline void look(Watch *watch) noexcept nogil:
    """Let Python see the signals that came, now and then."""
    cdef timespec at
    timespec_get(&at, TIME_UTC)
    cdef int64_t now = <int64_t> at.tv_sec * 1000000000 + at.tv_nsec
    if -BETWEEN_SIGNALS < now - watch.looked < BETWEEN_SIGNALS:
        return
    watch.looked = now
    with gil:
        try:
            PyErr_CheckSignals()
        except BaseException as error:
            (<list> watch.stop.errors).append(error)
            watch.stop.now = 1
