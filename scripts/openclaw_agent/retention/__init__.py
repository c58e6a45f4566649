"""Which snapshots stay and which go, and the run that deletes them.

The policy is pure: names and a clock in, decisions with their reasons out (docs/adr/0003).
"""
