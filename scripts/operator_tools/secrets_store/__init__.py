"""The gateway's secrets in SSM: put, checked by name, shown only where asked for."""
