"""What this machine has for a reproduction and what it lacks: `python -m harness doctor`. It changes nothing."""
