"""What the firmware of a network costs: instructions of each layer, memory and time, beside those of CMSIS-NN."""
