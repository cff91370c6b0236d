-- Lists of undelivered deliveries are of one tenant and one state, newest first, perhaps of one webhook. The state changes seldom, and what
-- else changes stands in no index: so most updates touch none.
CREATE INDEX open_deliveries_newest ON open_deliveries (tenant, kind, first_seen, delivery);
CREATE INDEX open_deliveries_webhook_newest ON open_deliveries (webhook_key, kind, first_seen, delivery);
-- Its questions are served by the one above.
DROP INDEX open_deliveries_webhook;
