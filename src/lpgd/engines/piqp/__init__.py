"""PIQP: sparse QPs."""
