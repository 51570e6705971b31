"""Search over the whole system: apps register what can be found, the top bar and a page show it."""
