"""A load generator for brokers: `wsmb bench`, and `make bench` with brokers of other kinds beside it."""
