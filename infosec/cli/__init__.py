"""The command line `infosec`: client sub-commands, one module a group. A client of the SDK, with no other way in."""
