"""SQLite databases: recognise them, fold their WAL, check them, copy a live one.

Nothing here knows which database belongs to whom.
"""
