"""What several rooms of tests share: dealt keys, committees, venues, markets, models."""
