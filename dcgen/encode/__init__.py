"""The blob: integer weights as coded streams, written and read back.

``encode.blob.encode`` writes one, ``encode.reader.decode`` reads one and trusts nothing.
"""
