-- The truth about webhooks, and what of it topic `webhooks` has not been told yet.

CREATE TABLE tenants (
    tenant text PRIMARY KEY,
    -- How many it has: counted here so that the limit is exact without counting rows.
    webhooks bigint NOT NULL CHECK (webhooks >= 0)
);

CREATE TABLE webhooks (
    id text PRIMARY KEY,
    tenant text NOT NULL REFERENCES tenants,
    -- Grows with each change; what topic `webhooks` carries and an ETag names.
    version bigint NOT NULL CHECK (version > 0),
    url text NOT NULL,
    event_types text[] NOT NULL,
    header_names text[] NOT NULL,
    header_values text[] NOT NULL,
    enabled boolean NOT NULL,
    disabled_reason text NOT NULL,
    -- A martlet.v1.Webhook with nothing but its secrets, each sealed by itself.
    secrets bytea NOT NULL,
    -- 0: the system's default; likewise below.
    timeout_ms integer NOT NULL,
    max_in_flight integer NOT NULL,
    description text NOT NULL,
    hub_signature boolean NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    CHECK (cardinality(header_names) = cardinality(header_values))
);

-- Lists are in order of creation.
CREATE INDEX webhooks_by_creation ON webhooks (tenant, created_at, id);

-- Records that topic `webhooks` still has to get, written in the transaction of the change itself. Changes of one webhook wait for
-- each other, so its rows come in the order of their numbers; between webhooks the order means nothing.
CREATE TABLE outbox (
    number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    webhook_id text NOT NULL,
    -- The record's value; NULL: a tombstone.
    value bytea
);
