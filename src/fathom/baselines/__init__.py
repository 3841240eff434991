"""Features of nuclei and the classifiers that know nothing else; no torch."""
