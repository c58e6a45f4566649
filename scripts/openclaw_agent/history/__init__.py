"""What a person asks of all snapshots together: which there are, what was where when, and what differs between two.

Nothing here changes the bucket or the machine. The operator's tools ask the same questions through this room.
"""
