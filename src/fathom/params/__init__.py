"""Every number of the pipeline: one frozen class a section of params.yaml."""
