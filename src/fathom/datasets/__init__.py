"""Data sets on disk: their layout, what is checked of them, and the default one."""
