"""The agent on the instance: capture, commit, restore, ownership, retention and the spot notice."""

AGENT_VERSION = "0.1.0"
