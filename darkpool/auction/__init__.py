"""The spine: an interval of auctions, from sealed submissions to a settled record."""
