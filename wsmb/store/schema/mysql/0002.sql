-- Beside the original's table, which stays as it is: what an item has besides its text. Most have no row here.
CREATE TABLE IF NOT EXISTS `{prefix}item` (
    `data_id` bigint NOT NULL,
    `tries` int NOT NULL,
    `expires_at` double DEFAULT NULL,
    PRIMARY KEY (`data_id`),
    KEY `expires_at` (`expires_at`)
) ENGINE=InnoDB;

-- The ids of messages that were sent with one, without gaps in the numbers.
CREATE TABLE IF NOT EXISTS `{prefix}message_id` (
    `number` bigint NOT NULL,
    `digest` binary(16) NOT NULL,
    `created` double NOT NULL,
    PRIMARY KEY (`number`)
) ENGINE=InnoDB;

-- The number of the last schema file; its one row is the last thing that a file writes.
CREATE TABLE IF NOT EXISTS `{prefix}version` (
    `number` int NOT NULL,
    PRIMARY KEY (`number`)
) ENGINE=InnoDB;

INSERT INTO `{prefix}version` (number) VALUES (2);
