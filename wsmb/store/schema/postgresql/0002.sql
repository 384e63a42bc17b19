-- Beside the original's table, which stays as it is: what an item has besides its text. Most have no row here.
CREATE TABLE IF NOT EXISTS "{prefix}item" (
    data_id bigint PRIMARY KEY,
    tries integer NOT NULL,
    expires_at double precision DEFAULT NULL
);

CREATE INDEX IF NOT EXISTS "{prefix}item_expires_at" ON "{prefix}item" (expires_at);

-- The ids of messages that were sent with one, without gaps in the numbers.
CREATE TABLE IF NOT EXISTS "{prefix}message_id" (
    number bigint PRIMARY KEY,
    digest bytea NOT NULL,
    created double precision NOT NULL
);

-- The number of the last schema file; its one row is the last thing that a file writes.
CREATE TABLE IF NOT EXISTS "{prefix}version" (
    number integer PRIMARY KEY
);

INSERT INTO "{prefix}version" (number) VALUES (2);
