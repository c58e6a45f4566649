"""The commands: parse, call one action, print, and map errors to exit codes in one place."""
