"""The sparse-MAC engine as Amaranth components, one block per file. Imports nothing of ``dcgen``."""
