"""Reaching the instance through Systems Manager: commands as root, a shell, a forwarded port."""
