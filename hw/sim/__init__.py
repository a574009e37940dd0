"""How the gateware is simulated. These files travel with an emitted design: they import nothing of ours."""
