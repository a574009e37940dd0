"""Compares dcgen's files with other ways to make the same network small, on the same pictures, in one table.

``python -m benchmarks.rivals --help`` says how.
"""
