"""Looking at the stack's snapshots from the operator's machine: list, calendar, find, diff."""
