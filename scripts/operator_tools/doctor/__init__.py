"""Is everything there that a deployment and a first conversation need?"""
