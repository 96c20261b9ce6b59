"""AssetPay: game items and crypto, in and out. https://assetpay.gg/docs"""
