"""The stand-in for Pulumi's engine: creates what a program registers in the embedded AWS.

It is for machines without the Pulumi CLI, and grows no further.
"""
