"""The first program: from the providers' sockets to the raw topics, and no further."""
