"""Work on the gateway's bytes in a child process: with its ids, without network, within limits.

Nothing here knows what the work is.
"""
