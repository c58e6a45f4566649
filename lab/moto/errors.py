"""What can go wrong with the embedded AWS itself."""


class ServerFailed(Exception):
    """The embedded AWS server did not start or did not answer."""
