"""What runs on the operator's machine: `openclaw-lab`, spot prices, pause and resume, undelete.

It asks the bucket through the agent's rooms that only read, and the agent never imports it.
"""
