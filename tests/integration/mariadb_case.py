"""A test case with a database of its own on the tests' MariaDB."""

from __future__ import annotations

from tests.integration.mariadb import MariaDB, mariadb
from tests.integration.server_case import ServerCase

ORIGINAL_TABLE = """
CREATE TABLE `mq_data` (`data_id` bigint(20) NOT NULL AUTO_INCREMENT, `channel` varchar(100) DEFAULT NULL,
`data` longtext, `created` datetime DEFAULT NULL, PRIMARY KEY (`data_id`), KEY `channel` (`channel`))
ENGINE=InnoDB DEFAULT CHARSET={charset}
"""


class MariaDBCase(ServerCase):
    commit = b"\x03COMMIT"
    """As it stands on the wire."""

    def start_server(self) -> MariaDB:
        return mariadb()

    def holder(self) -> int | None:
        """The connection that has the broker's lock."""
        return self.sql("SELECT IS_USED_LOCK(CONCAT('wsmb.', SHA1(CONCAT(DATABASE(), '.mq_data'))))")[0][0]
