"""Raw frames to canonical events, exactly once."""
