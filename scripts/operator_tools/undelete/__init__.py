"""The backup bucket as it stood at a moment, out of the versions that S3 keeps: planned purely, then carried out.

Copies forward only: no version is ever deleted, so that an undelete can itself be undone.
"""
