"""The default data set: downloaded, checked and laid out as a data set of the user's is."""
