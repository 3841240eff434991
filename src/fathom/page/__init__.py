"""The report as a page: what is gathered for it from the stages' tables, and how it is written."""
