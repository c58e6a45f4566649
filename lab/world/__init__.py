"""Both stacks deployed in the embedded AWS, with their instances booted.

Demo, drills and booted tests share it.
"""
