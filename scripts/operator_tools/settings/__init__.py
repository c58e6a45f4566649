"""What the user has configured for a stack, read from the files that `pulumi config set` writes."""
