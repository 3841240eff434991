"""The best model for other people's programs: a bioimage.io package and its card."""
