"""The commands of `python -m harness`, a module for those that belong together; each loads what it needs itself."""
