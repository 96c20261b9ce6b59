"""The contract: topics, records and their bytes. It imports nobody of ours."""
