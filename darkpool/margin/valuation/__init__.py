"""Option values in exact and repeatable arithmetic."""
