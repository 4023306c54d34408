"""DAQP: dense QPs and small LPs."""
