"""What stages hand on: nuclei, splits, duplicates, rows of params.yaml, what training leaves."""
