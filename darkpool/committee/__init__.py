"""Keypers: what they hold, what they check before they answer, and how they answer together."""
