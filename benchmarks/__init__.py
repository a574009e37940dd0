"""Measurements against other people's work; nothing of dcgen needs what they install."""
