"""The README's figures: every row of one version, made by one command."""
