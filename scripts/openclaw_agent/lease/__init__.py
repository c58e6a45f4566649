"""Who may write to the bucket: the lease record and its conditional writes.

The rules are pure (record); acquire and release are the only writers of owner.json.
"""
