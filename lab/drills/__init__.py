"""`make drills`: every way in which a spot instance ends, rehearsed on this machine."""
