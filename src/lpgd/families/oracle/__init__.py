"""Linear costs over any set that an oracle minimises over."""
