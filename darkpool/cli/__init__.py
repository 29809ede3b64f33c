"""The command line: commands, one file each, and what they print."""
