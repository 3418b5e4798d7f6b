"""Runs a plan's steps and keeps what they make: the store, the local runner, its progress display."""
