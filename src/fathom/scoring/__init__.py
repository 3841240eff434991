"""Model files, and new slides scored with them."""
