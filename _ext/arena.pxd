# Memory of one thread: what was taken last is given back first.

from libc.stdint cimport int64_t, uintptr_t
from libc.stdlib cimport free, malloc

cdef enum:
    CHUNK_BYTES = 1048576

ctypedef struct Chunk:
    Chunk *before
    char *bytes
    int64_t size
    int64_t used


ctypedef struct Arena:
    Chunk *top
    Chunk *spare


ctypedef struct Mark:
    Chunk *top
    int64_t used


cdef inline void *arena_take(Arena *arena, int64_t n_bytes) noexcept nogil:
    """Memory on a 64-byte boundary, until the arena is released to a mark before; NULL if there is none."""
    cdef int64_t size = (max(n_bytes, 1) + 63) // 64 * 64
    cdef Chunk *chunk = arena.top
    cdef void *place
    if chunk == NULL or chunk.used + size > chunk.size:
        chunk = arena.spare
        arena.spare = NULL
        if chunk != NULL and chunk.size < size:
            free(chunk)
            chunk = NULL
        if chunk == NULL:
            chunk = <Chunk *> malloc(sizeof(Chunk) + max(size, CHUNK_BYTES) + 64)
            if chunk == NULL:
                return NULL
            chunk.size = max(size, CHUNK_BYTES)
            chunk.bytes = <char *> (((<uintptr_t> chunk) + sizeof(Chunk) + 63) // 64 * 64)
        chunk.before, chunk.used = arena.top, 0
        arena.top = chunk
    place = chunk.bytes + chunk.used
    chunk.used += size
    return place


cdef inline Mark arena_mark(Arena *arena) noexcept nogil:
    cdef Mark mark
    mark.top, mark.used = arena.top, arena.top.used if arena.top != NULL else 0
    return mark


cdef inline void arena_release(Arena *arena, Mark mark) noexcept nogil:
    """Give back what was taken since the mark; one chunk is kept for the next to come."""
    cdef Chunk *chunk
    while arena.top != mark.top:
        chunk = arena.top
        arena.top = chunk.before
        free(arena.spare)
        arena.spare = chunk
    if arena.top != NULL:
        arena.top.used = mark.used


cdef inline void arena_free(Arena *arena) noexcept nogil:
    cdef Mark nothing
    nothing.top, nothing.used = NULL, 0
    arena_release(arena, nothing)
    free(arena.spare)
