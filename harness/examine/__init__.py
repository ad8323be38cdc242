"""`python -m harness examine`: the paper's whole analysis of any networks, beside each other, without claims."""
