"""The HTML report of the drills: records, layout, rendering.

It imports nothing of the lab; a record is all it needs.
"""
