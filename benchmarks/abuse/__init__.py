"""Whether abuse costs the abuser, and not the others (`make bench-abuse`)."""
