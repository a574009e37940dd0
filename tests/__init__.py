"""Tests of dcgen; the folders mirror the tree."""
