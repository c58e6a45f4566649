"""The embedded instance: a Debian root booted here by systemd-nspawn as if EC2 had launched it."""
