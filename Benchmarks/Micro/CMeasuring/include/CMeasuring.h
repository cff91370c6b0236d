// What a stretch of code on this thread takes: allocations, counted by standing in for malloc and its kin in whatever links this, and CPU
// time.
#ifndef CMEASURING_H
#define CMEASURING_H

#include <stdint.h>

typedef struct {
    /// Calls of malloc, calloc, realloc, posix_memalign, aligned_alloc and memalign.
    uint64_t count;
    /// What they asked for.
    uint64_t bytes;
} measuring_allocations;

/// Those of the calling thread since it began.
measuring_allocations measuring_of_thread(void);

/// Whether one call of each of the six functions is counted: where something else stands in for them (a sanitizer, another allocator) it
/// is not.
int measuring_counts(void);

/// CPU time of the calling thread in nanoseconds: what other processes take of the machine does not count.
uint64_t measuring_cpu_ns(void);

/// Bytes that are allocated now, by all threads.
uint64_t measuring_heap_bytes(void);

#endif
