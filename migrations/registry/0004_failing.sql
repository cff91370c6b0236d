-- Since when every request to a webhook has failed; NULL: they have not.
ALTER TABLE webhooks ADD COLUMN failing_since timestamptz;

-- Of an event for topic `events` that tells about the webhook: names and values by turns. NULL: a record of topic `webhooks`.
ALTER TABLE outbox ADD COLUMN headers text[];
