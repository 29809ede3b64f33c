"""The client's agent: standing orders that are sealed afresh each interval, and cover traffic."""
