"""Nuclei and slides with known truth."""
