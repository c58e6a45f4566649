"""The stack on one screen, what it says (logs), and what it is called (outputs)."""
