"""What OpenClaw itself decides about its folder: whose it is, and the names in it that the agent knows."""

GATEWAY_UID = 1000  # the image's user `node`
CONFIG_FILE = "openclaw.json"
# Holds the key that opens stored auth profiles; the compose file mounts it (docs/adr/0004).
AUTH_KEY_FOLDER = ".config/openclaw"
