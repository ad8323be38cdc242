"""Units of a network: the registry of blocks, the rules for timm's, and the anatomy that probes speak to."""
