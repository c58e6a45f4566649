"""What the commands do: back up, restore, prune, watch."""
