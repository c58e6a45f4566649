"""What is stored: manifest, its text form, snapshot names, and every key of the bucket.

Pure data; it imports no other room.
"""
