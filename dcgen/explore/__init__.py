"""The search of a space of networks for those that no other beats in accuracy, bytes and work."""
