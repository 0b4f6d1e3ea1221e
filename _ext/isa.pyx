"""Instruction sets: which kernels this machine can run, and which are in use."""

from cpython.pycapsule cimport PyCapsule_New


cdef extern from "kernels.h" nogil:
    ctypedef struct tf_kernels:
        const char *name

    const tf_kernels *tf_current
    int tf_n_available()
    const tf_kernels *tf_available(int)


def available():
    """Names of the instruction sets that this machine runs, best first."""
    return [tf_available(i).name.decode() for i in range(tf_n_available())]


def current():
    """Name of the instruction set in use."""
    return tf_current.name.decode()


def use(name):
    """Switch every kernel to the instruction set ``name``, one of `available`."""
    global tf_current
    tf_current = tf_available(available().index(name))


tf_current = tf_available(0)
kernels = PyCapsule_New(<void *> &tf_current, b"treeflows._ext.isa.kernels", NULL)
