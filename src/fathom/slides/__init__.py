"""Slides, whatever wrote them: one lazily read view, by region, at the resolution asked for."""
