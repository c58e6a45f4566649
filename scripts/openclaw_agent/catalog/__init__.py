"""What the bucket offers to restore, and which of it a restore takes.

It reads the bucket and never writes to it.
"""
