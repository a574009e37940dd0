"""The blob: an integer network in one file, its weights as coded streams.

``encode.blob.encode`` writes a blob. ``encode.reader.decode`` reads one back and trusts nothing in it. The format
is described by ``encode.schema``, from which docs/blob-format.md is written.
"""
