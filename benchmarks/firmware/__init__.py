"""What the firmware of a network costs: instructions by layer, memory, time; beside it what others take."""
