"""OpenClaw's folder: walk it, exclude from it, and build its replacement beside it.

Nothing here knows S3.
"""
