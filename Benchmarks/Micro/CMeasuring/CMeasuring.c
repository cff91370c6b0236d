#include "CMeasuring.h"

#include <errno.h>
#include <malloc.h>
#include <stddef.h>
#include <stdlib.h>
#include <time.h>

// glibc's own, which its malloc and the others are names of.
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t count, size_t size);
extern void *__libc_realloc(void *old, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static _Thread_local measuring_allocations counted;

static inline void count(size_t bytes) {
    counted.count++;
    counted.bytes += bytes;
}

void *malloc(size_t size) {
    count(size);
    return __libc_malloc(size);
}

void *calloc(size_t number, size_t size) {
    count(number * size);
    return __libc_calloc(number, size);
}

void *realloc(void *old, size_t size) {
    count(size);
    return __libc_realloc(old, size);
}

void *memalign(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) {
    count(size);
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size) {
    if (alignment < sizeof(void *) || (alignment & (alignment - 1)) != 0) return EINVAL;
    count(size);
    void *made = __libc_memalign(alignment, size);
    if (made == NULL) return ENOMEM;
    *result = made;
    return 0;
}

measuring_allocations measuring_of_thread(void) { return counted; }

int measuring_counts(void) {
    // Through volatile pointers, for the compiler leaves out calls whose memory is freed at once.
    void *(*volatile plain)(size_t) = malloc;
    void *(*volatile zeroed)(size_t, size_t) = calloc;
    void *(*volatile moved)(void *, size_t) = realloc;
    void *(*volatile aligned)(size_t, size_t) = aligned_alloc;
    void *(*volatile old)(size_t, size_t) = memalign;
    int (*volatile posix)(void **, size_t, size_t) = posix_memalign;
    measuring_allocations before = counted;
    void *made[6] = {plain(1), zeroed(1, 2), moved(NULL, 3), aligned(64, 64), old(64, 5)};
    int result = posix(&made[5], 64, 6);
    measuring_allocations after = counted;
    for (int i = 0; i < 6; i++) free(made[i]);
    return result == 0 && after.count - before.count == 6 && after.bytes - before.bytes == 81;
}

uint64_t measuring_cpu_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

uint64_t measuring_heap_bytes(void) {
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}
