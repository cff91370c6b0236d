#include "CKafka.h"

#include <string.h>

/// Makes librdkafka's list of the packed headers; NULL when there are none.
static rd_kafka_headers_t *unpack_headers(const uint8_t *next, size_t count) {
    if (count == 0) return NULL;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(count);
    for (size_t i = 0; i < count; i++) {
        uint32_t name_length, value_length;
        memcpy(&name_length, next, sizeof name_length);
        memcpy(&value_length, next + sizeof name_length, sizeof value_length);
        const char *name = (const char *)next + sizeof name_length + sizeof value_length;
        const void *value = name + name_length;
        int has_value = value_length != UINT32_MAX;
        if (!has_value) value_length = 0;
        rd_kafka_header_add(headers, name, name_length, has_value ? value : NULL, value_length);
        next = (const uint8_t *)value + value_length;
    }
    return headers;
}

rd_kafka_resp_err_t ckafka_produce(rd_kafka_t *client, rd_kafka_topic_t *topic, const ckafka_record *record) {
    rd_kafka_headers_t *headers = unpack_headers(record->headers, record->header_count);
    // clang-format off
    rd_kafka_resp_err_t error = headers == NULL
        ? rd_kafka_producev(client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_KEY((void *)record->key, record->key_length),
                            RD_KAFKA_V_VALUE((void *)record->value, record->value_length),
                            RD_KAFKA_V_TIMESTAMP(record->timestamp_ms),
                            RD_KAFKA_V_OPAQUE((void *)record->token), RD_KAFKA_V_END)
        : rd_kafka_producev(client, RD_KAFKA_V_RKT(topic), RD_KAFKA_V_PARTITION(record->partition),
                            RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                            RD_KAFKA_V_KEY((void *)record->key, record->key_length),
                            RD_KAFKA_V_VALUE((void *)record->value, record->value_length),
                            RD_KAFKA_V_TIMESTAMP(record->timestamp_ms), RD_KAFKA_V_HEADERS(headers),
                            RD_KAFKA_V_OPAQUE((void *)record->token), RD_KAFKA_V_END);
    // clang-format on
    if (error != RD_KAFKA_RESP_ERR_NO_ERROR && headers != NULL) rd_kafka_headers_destroy(headers);
    return error;
}
