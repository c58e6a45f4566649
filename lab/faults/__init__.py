"""A network that lies on demand: a reverse proxy in front of the embedded AWS with a plan of faults."""
