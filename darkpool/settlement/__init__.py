"""Settlement: fills become balances, and balances become a root that the vault pays by."""
