"""The commands: parse the arguments, call one workflow, print its result, exit.

An error becomes an exit code here and nowhere else; no rule of the system lives in this room.
"""
