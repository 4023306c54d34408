"""What programs with a quadratic objective and linear rows share."""
