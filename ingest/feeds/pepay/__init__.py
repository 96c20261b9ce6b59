"""Pepay: crypto payments and commerce orders. https://docs-alpha.pepay.io"""
