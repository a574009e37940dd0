"""How the gateware is simulated. These files are part of an emitted design, so they import nothing of dcgen."""
