#include "CTransactions.h"

#include <librdkafka/rdkafka.h>
#include <stdio.h>

static int failed(rd_kafka_error_t *failure, char *error, int error_size) {
    if (failure == NULL) return 0;
    snprintf(error, (size_t)error_size, "%s", rd_kafka_error_string(failure));
    rd_kafka_error_destroy(failure);
    return 1;
}

static int run(rd_kafka_t *producer, const char *topic, int partition, int count, int commit, char *error,
               int error_size) {
    if (failed(rd_kafka_init_transactions(producer, 30000), error, error_size)) return -1;
    if (failed(rd_kafka_begin_transaction(producer), error, error_size)) return -1;
    for (int i = 0; i < count; i++)
        rd_kafka_producev(producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
                          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE("t", 1), RD_KAFKA_V_END);
    rd_kafka_flush(producer, 10000);
    rd_kafka_error_t *end =
        commit ? rd_kafka_commit_transaction(producer, 30000) : rd_kafka_abort_transaction(producer, 30000);
    return failed(end, error, error_size) ? -1 : 0;
}

int ctransactions_write(const char *brokers, const char *topic, int partition, int count, int commit, char *error,
                        int error_size) {
    rd_kafka_conf_t *configuration = rd_kafka_conf_new();
    char id[128];
    snprintf(id, sizeof id, "transactions-%s-%d", topic, partition);
    if (rd_kafka_conf_set(configuration, "bootstrap.servers", brokers, error, (size_t)error_size) != RD_KAFKA_CONF_OK ||
        rd_kafka_conf_set(configuration, "transactional.id", id, error, (size_t)error_size) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(configuration);
        return -1;
    }
    rd_kafka_conf_set_log_cb(configuration, NULL);
    rd_kafka_t *producer = rd_kafka_new(RD_KAFKA_PRODUCER, configuration, error, (size_t)error_size);
    if (producer == NULL) {
        rd_kafka_conf_destroy(configuration);
        return -1;
    }
    int result = run(producer, topic, partition, count, commit, error, error_size);
    rd_kafka_destroy(producer);
    return result;
}
