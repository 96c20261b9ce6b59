"""Transak: from money to crypto and back. https://docs.transak.com"""
