"""The journal of margin events, and its replay."""
