-- Who may log in. Tokens are not stored: they are valid until they expire.

CREATE TABLE users (
    username text PRIMARY KEY,
    tenant text NOT NULL,
    -- argon2id, with salt and cost.
    password_hash text NOT NULL,
    scopes text[] NOT NULL,
    -- Made by the development profile with a password that everybody knows: no user in production.
    is_default boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    changed_at timestamptz NOT NULL DEFAULT now()
);
