// Wall clock and CPU time of a run.
#ifndef STOPWATCH_H
#define STOPWATCH_H

#include <stdio.h>
#include <sys/resource.h>
#include <time.h>

#include "CReferences.h"

typedef struct {
    double began;
    double cpu_began;
    double deadline;
} stopwatch;

static inline double stopwatch_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static inline double stopwatch_cpu(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static inline stopwatch stopwatch_start(double time_limit_s) {
    stopwatch watch = {.began = stopwatch_now(), .cpu_began = stopwatch_cpu()};
    watch.deadline = watch.began + time_limit_s;
    return watch;
}

/// Milliseconds left, rounded up, not more than `most`; 0 when the time is up.
static inline int stopwatch_left_ms(const stopwatch *watch, int most) {
    double left = (watch->deadline - stopwatch_now()) * 1e3;
    if (left <= 0) return 0;
    return left >= most ? most : (int)left + 1;
}

/// Writes down what the run took and how much of it came to an end.
static inline void stopwatch_stop(const stopwatch *watch, size_t asked, size_t completed, reference_result *out) {
    out->seconds = stopwatch_now() - watch->began;
    out->cpu_seconds = stopwatch_cpu() - watch->cpu_began;
    out->completed = completed < asked ? completed : asked;
    out->failed = asked - out->completed;
    if (out->failed > 0 && out->reason[0] == 0) snprintf(out->reason, sizeof out->reason, "the time was up");
}

/// The first reason is kept.
static inline void stopwatch_blame(reference_result *out, const char *reason) {
    if (out->reason[0] == 0) snprintf(out->reason, sizeof out->reason, "%s", reason);
}

#endif
