"""The executor: does what stands in a compiled plan, and journals it before it does it."""
