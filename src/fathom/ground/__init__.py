"""What every room stands on: errors, files, progress, instruction sets, random streams."""
