"""SatoriEx: a prediction market of binary outcomes in USDC."""
