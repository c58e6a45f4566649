"""The agent's own folder: the lock, and the local records of the last backup and boot.

Records are hints about this disk; the bucket is the source of truth.
"""
