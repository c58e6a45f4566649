"""What runs on the operator's machine: spot prices, pause and resume.

It never imports the agent, and the agent never imports it.
"""
