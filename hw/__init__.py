"""The sparse-MAC engine as Amaranth components, one block to a file. Imports nothing else of ``dcgen``."""
