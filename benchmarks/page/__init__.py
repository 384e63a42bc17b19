"""What it costs the broker that somebody looks at its page."""
