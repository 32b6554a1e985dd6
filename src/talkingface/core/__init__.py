"""Contracts that every room of the house relies on: interfaces, records, conventions, media, checks."""
