"""What a portfolio needs, and why, for people."""
