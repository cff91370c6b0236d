-- When a webhook's failed deliveries are tried again: a martlet.v1.RetryPolicy. NULL: the system's policy.
ALTER TABLE webhooks ADD COLUMN retry bytea;
