"""The embedded AWS: a moto server on loopback, and what moto lacks.

Every test and the lab itself talk to it as they would to AWS.
"""
