"""The lab: AWS, an instance and its failures, on this machine.

The repository is never put on the module path before the standard library.
"""
