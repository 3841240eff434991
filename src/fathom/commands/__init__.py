"""The commands: what each is asked, in which words, and what it hands to the library."""
