"""What travels between the parts of the library, and the protocols that they fulfil."""
