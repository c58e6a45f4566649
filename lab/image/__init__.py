"""Root images to boot from: Debian, the layers on it, and the compose file as a unit.

Images are built once and cached below .cache/.
"""
