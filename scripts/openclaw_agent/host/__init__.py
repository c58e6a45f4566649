"""This machine: its identity, its metadata service, the gateway unit, the freezer, the spot notice.

Whatever asks systemd, the kernel or EC2 about this instance stands here.
"""
