"""Building MSAs into a person's CNN by the paper's three rules (section 4.1), `python -m harness buildup`."""
