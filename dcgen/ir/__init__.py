"""The float intermediate representation."""
