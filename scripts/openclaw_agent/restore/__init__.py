"""Build a restore point on disk, verify it, compare it with another.

Nothing here decides which restore point is taken: that is catalog/.
"""
