"""Other ways to make the same network small, on the same weights and pictures: one table.

``python -m benchmarks.rivals --help`` says how.
"""
