"""The frame of `openclaw-lab`: its commands' table, the command line, what is printed, and how it ends."""
