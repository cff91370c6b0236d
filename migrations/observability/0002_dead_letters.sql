-- What was given up, as long as topic `dead-letters` keeps its records.
CREATE TABLE dead_letters (
    delivery uuid PRIMARY KEY,
    first_seen timestamptz NOT NULL,
    dead_at timestamptz NOT NULL,
    event_time timestamptz NOT NULL,
    -- Until when somebody who is requeuing it has it for himself; the delivery that he makes of it is requeued_as.
    claimed_until timestamptz,
    requeued_as uuid,
    parent uuid,
    -- Of the record in `dead-letters`; its partition is log_partition.
    record_offset bigint NOT NULL,
    origin_offset bigint NOT NULL,
    log_partition integer NOT NULL,
    origin_partition integer NOT NULL,
    attempt integer NOT NULL,
    generation integer NOT NULL,
    -- 0 open, 1 requeued, 2 discarded.
    state smallint NOT NULL DEFAULT 0,
    last_status smallint,
    tenant text NOT NULL,
    webhook text NOT NULL,
    event_id text NOT NULL,
    event_type text NOT NULL,
    origin_topic text NOT NULL,
    record_topic text NOT NULL,
    reason text NOT NULL,
    failure text,
    response text
) WITH (fillfactor = 90);
-- Lists are of one tenant and one state, newest first, perhaps narrowed by one of these.
CREATE INDEX dead_letters_newest ON dead_letters (tenant, state, dead_at, delivery);
CREATE INDEX dead_letters_webhook ON dead_letters (tenant, webhook, state, dead_at, delivery);
CREATE INDEX dead_letters_type ON dead_letters (tenant, event_type, state, dead_at, delivery);
CREATE INDEX dead_letters_reason ON dead_letters (tenant, reason, state, dead_at, delivery);
-- For retention. Rows come nearly in the order of their time.
CREATE INDEX dead_letters_age ON dead_letters USING brin (dead_at) WITH (autosummarize = on);

ALTER TABLE open_deliveries
    -- A delivery is told of though the hours of its outcomes are gone, or none has come: what a user asked for has kind 0 until one does.
    ADD COLUMN event_type text,
    ADD COLUMN event_time timestamptz,
    ADD COLUMN parent uuid,
    ADD COLUMN origin_topic text,
    ADD COLUMN origin_partition integer,
    ADD COLUMN origin_offset bigint,
    ADD COLUMN record_topic text,
    -- Of the last request that failed.
    ADD COLUMN failure text,
    ADD COLUMN last_status smallint,
    -- What a user wants of it, `retry` or `cancel`, and since when.
    ADD COLUMN requested text,
    ADD COLUMN requested_at timestamptz;
CREATE INDEX open_deliveries_registered ON open_deliveries (first_seen) WHERE kind = 0;
