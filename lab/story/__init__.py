"""`make lab`: the whole life of an instance on this machine, told while it happens."""
