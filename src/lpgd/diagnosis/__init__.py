"""Why a gradient is zero: what a layer did with a loss, element by element."""
