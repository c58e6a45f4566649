"""What this machine can do for the lab: commands, control groups, capabilities, the gateway engine.

It changes nothing on the machine.
"""
