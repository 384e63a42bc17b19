-- The original program's table. AUTOINCREMENT: an id is never given twice, not even after a restart.
CREATE TABLE IF NOT EXISTS "{prefix}data" (
    data_id INTEGER PRIMARY KEY AUTOINCREMENT,
    channel varchar(100) DEFAULT NULL,
    data longtext,
    created datetime DEFAULT NULL
);

CREATE INDEX IF NOT EXISTS "{prefix}data_channel" ON "{prefix}data" (channel);
