"""Deploying and destroying: the Pulumi CLI over both stacks, and the wait until the gateway is ready."""
