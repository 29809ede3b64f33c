"""Admission: from what a client wants to an order that takes part in an auction."""
