-- What a webhook's requests are held to, besides its limit: a rate (0: any), and whether a user has paused it.
ALTER TABLE webhooks
    ADD COLUMN rate_per_second integer NOT NULL DEFAULT 0,
    ADD COLUMN paused boolean NOT NULL DEFAULT false;
