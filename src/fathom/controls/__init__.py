"""What the label can be told from where it should not: controls for shortcuts."""
