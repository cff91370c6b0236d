#include <librdkafka/rdkafka.h>
#include <stdlib.h>
#include <string.h>

#include "Stopwatch.h"

typedef struct {
    size_t acknowledged;
    size_t reported;
    reference_result *out;
} producing;

static void on_report(rd_kafka_t *client, const rd_kafka_message_t *message, void *context) {
    (void)client;
    producing *run = context;
    run->reported++;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) run->acknowledged++;
    else stopwatch_blame(run->out, rd_kafka_err2str(message->err));
}

/// A configuration with these pairs of names and values, up to a NULL; NULL, and the reason in `out`, where one of them is refused.
static rd_kafka_conf_t *configured(const char *brokers, const char *const *pairs, reference_result *out) {
    rd_kafka_conf_t *configuration = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(configuration, NULL);
    // Something may be written there although the property is taken.
    char text[256];
    rd_kafka_conf_res_t result = rd_kafka_conf_set(configuration, "bootstrap.servers", brokers, text, sizeof text);
    for (; result == RD_KAFKA_CONF_OK && pairs[0] != NULL; pairs += 2)
        result = rd_kafka_conf_set(configuration, pairs[0], pairs[1], text, sizeof text);
    if (result == RD_KAFKA_CONF_OK) return configuration;
    stopwatch_blame(out, text);
    rd_kafka_conf_destroy(configuration);
    return NULL;
}

static rd_kafka_t *started(rd_kafka_type_t type, rd_kafka_conf_t *configuration, reference_result *out) {
    rd_kafka_t *client = rd_kafka_new(type, configuration, out->reason, sizeof out->reason);
    if (client == NULL) rd_kafka_conf_destroy(configuration);
    return client;
}

/// The number of the topic's partitions; 0, and the reason in `out`, where no broker tells within the limit.
static int partition_count(rd_kafka_t *client, rd_kafka_topic_t *topic, double time_limit_s, reference_result *out) {
    stopwatch watch = stopwatch_start(time_limit_s);
    rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (int left; (left = stopwatch_left_ms(&watch, 2000)) > 0;) {
        const struct rd_kafka_metadata *metadata = NULL;
        error = rd_kafka_metadata(client, 0, topic, &metadata, left);
        if (error != RD_KAFKA_RESP_ERR_NO_ERROR) continue;
        int count = metadata->topic_cnt == 1 ? metadata->topics[0].partition_cnt : 0;
        if (count == 0) error = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
        rd_kafka_metadata_destroy(metadata);
        if (count > 0) return count;
        rd_kafka_poll(client, stopwatch_left_ms(&watch, 50));
    }
    stopwatch_blame(out, rd_kafka_err2str(error));
    return 0;
}

// MARK: Producing

static void produce_all(rd_kafka_t *client, rd_kafka_topic_t *topic, void *value, size_t length, size_t records,
                        double time_limit_s, producing *run) {
    stopwatch watch = stopwatch_start(time_limit_s);
    size_t produced = 0;
    while (run->reported < records && stopwatch_left_ms(&watch, 1) > 0) {
        // A look at the clock and the reports for every thousand.
        for (int i = 0; i < 1000 && produced < records; i++) {
            char key[24];
            int key_length = snprintf(key, sizeof key, "key-%zu", produced);
            if (rd_kafka_produce(topic, RD_KAFKA_PARTITION_UA, RD_KAFKA_MSG_F_COPY, value, length, key,
                                 (size_t)key_length, NULL) != 0) {
                rd_kafka_resp_err_t error = rd_kafka_last_error();
                if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) break;
                // What can never be sent counts as reported.
                stopwatch_blame(run->out, rd_kafka_err2str(error));
                run->reported++;
            }
            produced++;
        }
        rd_kafka_poll(client, produced < records ? 0 : stopwatch_left_ms(&watch, 100));
    }
    stopwatch_stop(&watch, records, run->acknowledged, run->out);
}

int reference_produce(const char *brokers, const char *name, size_t records, size_t length, double time_limit_s,
                      reference_result *out) {
    memset(out, 0, sizeof *out);
    out->failed = records;
    static const char *const pairs[] = {
        "enable.idempotence", "true", "acks", "all", "linger.ms", "5", "partitioner", "murmur2_random",
        "queue.buffering.max.kbytes", "262144", "message.max.bytes", "2000000", NULL,
    };
    rd_kafka_conf_t *configuration = configured(brokers, pairs, out);
    if (configuration == NULL) return -1;
    producing run = {.out = out};
    rd_kafka_conf_set_opaque(configuration, &run);
    rd_kafka_conf_set_dr_msg_cb(configuration, on_report);
    rd_kafka_t *client = started(RD_KAFKA_PRODUCER, configuration, out);
    if (client == NULL) return -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    char *value = malloc(length + 1);
    int ready = topic != NULL && value != NULL && partition_count(client, topic, time_limit_s, out) > 0;
    if (ready) {
        memset(value, 'x', length);
        produce_all(client, topic, value, length, records, time_limit_s, &run);
    }
    // What is left was reported as failed: it is not waited for.
    rd_kafka_purge(client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    reference_result ignored;
    run.out = &ignored;
    ignored.reason[0] = 0;
    rd_kafka_flush(client, 500);
    if (topic != NULL) rd_kafka_topic_destroy(topic);
    rd_kafka_destroy(client);
    free(value);
    return ready ? 0 : -1;
}

// MARK: Consuming

static void consume_all(rd_kafka_t *client, rd_kafka_queue_t *queue, const char *name, int partitions, size_t records,
                        double time_limit_s, reference_result *out) {
    rd_kafka_topic_partition_list_t *assigned = rd_kafka_topic_partition_list_new(partitions);
    for (int partition = 0; partition < partitions; partition++)
        rd_kafka_topic_partition_list_add(assigned, name, partition)->offset = RD_KAFKA_OFFSET_BEGINNING;
    stopwatch watch = stopwatch_start(time_limit_s);
    rd_kafka_assign(client, assigned);
    size_t read = 0;
    rd_kafka_message_t *messages[1000];
    for (int left; read < records && (left = stopwatch_left_ms(&watch, 100)) > 0;) {
        ssize_t count = rd_kafka_consume_batch_queue(queue, left, messages, 1000);
        for (ssize_t i = 0; i < count; i++) {
            // Errors are events, not records; what they cost shows in the time.
            if (messages[i]->err == RD_KAFKA_RESP_ERR_NO_ERROR) read++;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    stopwatch_stop(&watch, records, read, out);
    rd_kafka_topic_partition_list_destroy(assigned);
}

int reference_consume(const char *brokers, const char *name, size_t records, double time_limit_s,
                      reference_result *out) {
    memset(out, 0, sizeof *out);
    out->failed = records;
    static const char *const pairs[] = {
        "group.id", "reference", "enable.auto.commit", "false", "enable.auto.offset.store", "false",
        "fetch.wait.max.ms", "10", NULL,
    };
    rd_kafka_conf_t *configuration = configured(brokers, pairs, out);
    if (configuration == NULL) return -1;
    rd_kafka_t *client = started(RD_KAFKA_CONSUMER, configuration, out);
    if (client == NULL) return -1;
    rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
    int partitions = topic != NULL ? partition_count(client, topic, time_limit_s, out) : 0;
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(client);
    if (partitions > 0) consume_all(client, queue, name, partitions, records, time_limit_s, out);
    rd_kafka_queue_destroy(queue);
    if (topic != NULL) rd_kafka_topic_destroy(topic);
    rd_kafka_destroy_flags(client, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    return partitions > 0 ? 0 : -1;
}
