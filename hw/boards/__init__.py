"""Boards the engine is built for: pins, clocks, and the way from a host to the engine's ports."""
