"""One booted instance: its disk, network, metadata service and life under systemd-nspawn.

Differences from Amazon Linux are listed in lab/differences.yaml.
"""
