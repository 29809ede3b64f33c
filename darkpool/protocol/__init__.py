"""The messages that parties exchange, and the terms that they agree on."""
