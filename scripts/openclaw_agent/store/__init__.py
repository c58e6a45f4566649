"""S3: requests, transfers in bulk, errors as sentences, and what the requests cost.

Nothing here knows what an object means.
"""
