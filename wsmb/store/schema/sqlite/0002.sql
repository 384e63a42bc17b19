-- Beside the original's table, which stays as it is: what an item has besides its text. Most have no row here.
CREATE TABLE IF NOT EXISTS "{prefix}item" (
    data_id INTEGER PRIMARY KEY,
    tries INTEGER NOT NULL,
    expires_at REAL DEFAULT NULL
);

CREATE INDEX IF NOT EXISTS "{prefix}item_expires_at" ON "{prefix}item" (expires_at);

-- The ids of messages that were sent with one, without gaps in the numbers.
CREATE TABLE IF NOT EXISTS "{prefix}message_id" (
    number INTEGER PRIMARY KEY,
    digest BLOB NOT NULL,
    created REAL NOT NULL
);

-- The number of the last schema file; its one row is the last thing that a file writes.
CREATE TABLE IF NOT EXISTS "{prefix}version" (
    number INTEGER PRIMARY KEY
);

INSERT INTO "{prefix}version" (number) VALUES (2);
