"""Batching: which of a closed batch's intents take part in its auctions."""
