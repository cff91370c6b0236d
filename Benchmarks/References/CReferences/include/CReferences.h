// What the bare libraries cost: the least that a service on top of them can. The yardstick of the benchmarks, run in the same session.
#ifndef CREFERENCES_H
#define CREFERENCES_H

#include <stddef.h>

typedef struct {
    /// Requests answered with 2xx; records acknowledged; records read.
    size_t completed;
    /// All others of those asked for, those not begun when the time was up included.
    size_t failed;
    /// From the first call to the last completion, without what it takes to set up and to clean up.
    double seconds;
    /// User and system time of all threads of this process meanwhile.
    double cpu_seconds;
    /// Why the first of them failed, or why nothing could be run; empty where nothing failed.
    char reason[256];
} reference_result;

// Each blocks its thread until all is done or `time_limit_s` is over, and a second more at most. Each returns 0, or -1 where it could not
// begin, with the reason in `out`.

/// libcurl alone: `requests` POSTs of `length` bytes to one URL, `in_flight` at a time, on kept connections with easy handles used
/// again, by `curl_multi_socket_action` on epoll, on the calling thread.
int reference_curl(const char *url, size_t requests, size_t in_flight, const void *body, size_t length,
                   double time_limit_s, reference_result *out);

/// librdkafka's producer alone: `records` of `length` bytes with a key each, so spread over all partitions; idempotent, acks=all, linger
/// 5 ms.
int reference_produce(const char *brokers, const char *topic, size_t records, size_t length, double time_limit_s,
                      reference_result *out);

/// librdkafka's consumer alone: the topic's first `records`, all partitions assigned from their beginning, no group.
int reference_consume(const char *brokers, const char *topic, size_t records, double time_limit_s,
                      reference_result *out);

#endif
