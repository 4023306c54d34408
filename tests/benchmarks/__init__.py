"""The benchmarks that others rely on: that what they call wrong is wrong."""
