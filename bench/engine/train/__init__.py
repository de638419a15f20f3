"""One training: images, networks that learn, the loop, scores. Start reading at `loop.py`."""
