"""The user's AWS account as our commands see it: a region, clients, and failures told in one sentence."""
