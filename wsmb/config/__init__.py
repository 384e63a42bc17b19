"""Settings from the command line, the environment and an INI file.

`ini` reads the file's text, `values` and `database_url` turn texts into values, `options` is the
table of all settings, `given` gathers what is set where, `database` and `load` make Settings of it.
`access` finds the access list, `access_words` and `access_lines` read it. `source` reads all of it again,
`changes` says what is different by that.
"""

from wsmb.config.load import load_access, load_settings
from wsmb.config.source import Loaded, SettingsSource

__all__ = ["Loaded", "SettingsSource", "load_access", "load_settings"]
