-- Of an outcome that gives up: why its last request failed, where `reason` says why it was given up.
ALTER TABLE outcomes ADD COLUMN failure text;
