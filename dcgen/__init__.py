"""dcgen: trained SqueezeNet-class CNNs as compressed blobs, C firmware and gateware."""

__version__ = "0.1.0"
