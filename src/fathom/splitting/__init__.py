"""Folds that keep groups whole, and the certificate that they do."""
