"""What is wanted: claims, profiles, who plays which role, and from them the runs and probes of a session. No torch."""
