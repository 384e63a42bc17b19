"""Programs as users of a client write them: without any error handling of their own."""
