"""From a folder of files, as a lab has them, to a data set."""
