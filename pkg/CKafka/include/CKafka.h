// librdkafka for Swift: its headers, and what Swift cannot call (variadic functions) or should not call per item.
#ifndef CKAFKA_H
#define CKAFKA_H

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

/// One record to produce. Memory is the caller's and copied during the call.
typedef struct {
    /// NULL for no key.
    const void *key;
    size_t key_length;
    /// NULL for no value (a tombstone).
    const void *value;
    size_t value_length;
    /// `header_count` headers, one after the other: name length, value length (each a native uint32_t; UINT32_MAX: no value),
    /// name, value.
    const uint8_t *headers;
    size_t header_count;
    /// Milliseconds since 1970; 0: the time of the call.
    int64_t timestamp_ms;
    /// Comes back as `_private` of the delivery report.
    uintptr_t token;
    /// RD_KAFKA_PARTITION_UA leaves the choice to the partitioner.
    int32_t partition;
} ckafka_record;

/// Queues a record for `topic`. Never blocks.
rd_kafka_resp_err_t ckafka_produce(rd_kafka_t *client, rd_kafka_topic_t *topic, const ckafka_record *record);

/// The token given to ckafka_produce.
static inline uintptr_t ckafka_token(const rd_kafka_message_t *message) { return (uintptr_t)message->_private; }

/// A completion token for rd_kafka_commit_queue.
static inline rd_kafka_resp_err_t ckafka_commit(rd_kafka_t *client, const rd_kafka_topic_partition_list_t *offsets,
                                                rd_kafka_queue_t *queue, uintptr_t token) {
    return rd_kafka_commit_queue(client, offsets, queue, NULL, (void *)token);
}

/// The token given to ckafka_commit.
static inline uintptr_t ckafka_event_token(rd_kafka_event_t *event) { return (uintptr_t)rd_kafka_event_opaque(event); }

#endif
