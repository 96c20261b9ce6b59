"""Protocols without the wire: text in, effects out."""
