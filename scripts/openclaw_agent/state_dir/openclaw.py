"""What OpenClaw itself decides about its folder: whose it is, and the names in it that the agent knows."""

import re

GATEWAY_UID = 1000  # the image's user `node`
CONFIG_FILE = "openclaw.json"
# Holds the key that opens stored auth profiles; the compose file's XDG_CONFIG_HOME leads there (docs/adr/0012).
AUTH_KEY_FOLDER = ".config/openclaw"
# What only a state of the gateway's has, by its path in it (a flat upload has no folder `.openclaw/` to tell it by).
_SIGNS = re.compile(
    r"""openclaw\.json(\..+)?
    | state/openclaw\.sqlite
    | agents/[^/]+/(agent|sessions)/.+
    | credentials/.+
    | workspace(-[^/]+)?/.+""",
    re.VERBOSE | re.DOTALL,
)
# What file managers leave in folders that they show.
_LITTER = frozenset({".ds_store", "thumbs.db", "desktop.ini"})


def is_sign_of_state(path: str) -> bool:
    """Whether a file at this path of a folder says that the folder is a gateway's state."""
    return _SIGNS.fullmatch(path) is not None


def is_litter(path: str) -> bool:
    """Whether a file manager left it, so that it says nothing about the folder."""
    name = path.rsplit("/", 1)[-1]
    return name.lower() in _LITTER or name.startswith("._")


# Where the container sees its state (docker-compose.yaml): a link of the gateway's to there leads into the state.
STATE_IN_CONTAINER = "/home/node/.openclaw"
