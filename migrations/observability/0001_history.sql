-- One row per outcome. Fixed-width columns first, so that little is lost to padding. What nearly always has the same value is NULL
-- then: source_* where the outcome settles the event's own record, partitions where they are log_partition.
CREATE TABLE outcomes (
    -- When the request began; of a record without one, when it was written.
    at timestamptz NOT NULL,
    -- Hashes of tenant and event id, tenant and webhook id: what the indexes hold.
    event_key bigint NOT NULL,
    webhook_key bigint NOT NULL,
    delivery uuid NOT NULL,
    request_id bigint NOT NULL,
    log_offset bigint NOT NULL,
    origin_offset bigint NOT NULL,
    source_offset bigint,
    record_offset bigint,
    event_time timestamptz NOT NULL,
    due_at timestamptz,
    parent uuid,
    log_partition integer NOT NULL,
    origin_partition integer,
    duration_us integer NOT NULL,
    attempt integer NOT NULL,
    generation integer NOT NULL,
    fan_out integer NOT NULL,
    kind smallint NOT NULL,
    status smallint,
    tenant text NOT NULL,
    webhook text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    origin_topic text NOT NULL,
    source_topic text,
    record_topic text,
    reason text,
    response bytea
) PARTITION BY RANGE (at);

-- The next offset of topic `attempts` to store, and of which log.
CREATE TABLE positions (
    topic text NOT NULL,
    partition integer NOT NULL,
    log_id text NOT NULL,
    next_offset bigint NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 50);

-- Deliveries that their first outcome did not close, until one does.
CREATE TABLE open_deliveries (
    delivery uuid PRIMARY KEY,
    webhook_key bigint NOT NULL,
    first_seen timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    due_at timestamptz,
    record_offset bigint,
    log_partition integer NOT NULL,
    attempt integer NOT NULL,
    generation integer NOT NULL,
    kind smallint NOT NULL,
    tenant text NOT NULL,
    webhook text NOT NULL,
    event_id text NOT NULL,
    reason text
) WITH (fillfactor = 80);
CREATE INDEX open_deliveries_webhook ON open_deliveries (webhook_key);

-- Records that could not be stored.
CREATE TABLE rejected (
    at timestamptz NOT NULL DEFAULT now(),
    log_id text NOT NULL,
    log_partition integer NOT NULL,
    log_offset bigint NOT NULL,
    reason text NOT NULL,
    value bytea NOT NULL
);
