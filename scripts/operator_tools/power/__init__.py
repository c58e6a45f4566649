"""Pausing a stack and resuming it: no instance or one, with the alarm that an absent instance would set off."""
