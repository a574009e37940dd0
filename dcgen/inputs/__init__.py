"""What networks are calibrated and evaluated on: pictures and arrays of strangers, and their way to bytes."""
