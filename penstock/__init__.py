"""The operator's command: a local stack, topics, schemas, and what may be asked of them."""
