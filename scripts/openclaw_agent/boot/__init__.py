"""What happens at boot, before each start of the gateway, and in a manual restore.

It decides who holds the lease and which state wins: the local disk, or the bucket.
"""
