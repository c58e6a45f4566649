"""Linux calls that Python lacks: confined paths, clones, exchanging renames, descriptors.

Nothing here knows what a file means.
"""
