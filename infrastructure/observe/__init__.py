"""Watching the nodes: what the collector runs for this app. Reads engines in threads, writes through the services."""
