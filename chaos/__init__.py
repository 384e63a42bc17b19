"""Proves or disproves that nothing confirmed is ever lost; docs/chaos.md says how to run it."""
