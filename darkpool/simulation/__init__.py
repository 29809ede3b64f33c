"""A whole venue in one process: clients, reporters, committee and order file."""
