-- The original program's table, with a character set that holds every channel name and compares case.
CREATE TABLE IF NOT EXISTS `{prefix}data` (
    `data_id` bigint(20) NOT NULL AUTO_INCREMENT,
    `channel` varchar(100) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin DEFAULT NULL,
    `data` longtext,
    `created` datetime DEFAULT NULL,
    PRIMARY KEY (`data_id`),
    KEY `channel` (`channel`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4;
