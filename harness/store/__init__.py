"""What is kept, and how: artifacts under content-derived keys, ledgers of long measurements, identities, tables."""

from harness.store.store import Artifact, Interrupted, Store

__all__ = ["Artifact", "Interrupted", "Store"]
