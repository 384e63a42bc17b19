"""The `wsmb` command, one file for each subcommand."""
