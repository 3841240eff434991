"""Architectures as text, their cost, and the networks they become."""
