"""Boards that the engine is built for: their pins and clocks, and the way from a host to the engine's ports."""
