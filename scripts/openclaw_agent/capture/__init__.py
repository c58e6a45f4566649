"""The state folder at one instant: walk, freeze, clone, fold the databases, hash.

It writes into the clone folder only, never into the state or the bucket.
"""
