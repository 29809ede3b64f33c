"""Rings: parameters, modular arithmetic, transforms, slots and exact sampling."""
