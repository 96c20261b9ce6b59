"""Paymium: a BTC/EUR exchange and merchant payments. https://www.paymium.com"""
