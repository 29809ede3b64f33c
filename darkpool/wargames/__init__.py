"""Adversaries: what a malicious client can send, made to be refused."""
