"""What is written about a slide's nuclei: one module a format, and where a nucleus lies."""
