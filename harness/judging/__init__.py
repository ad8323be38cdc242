"""From tables to verdicts: what was measured, the effects that a test finds in it, and the evidence it leaves."""
