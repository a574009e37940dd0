"""Small networks of many kinds, trained in minutes from fixed seeds on pictures that are drawn by formulas.

``python -m benchmarks.zoo --help`` says how to write them.
"""
