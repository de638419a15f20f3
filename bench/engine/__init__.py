"""One job: data + backbone + recipe -> trained, scored -> Record. Start reading at `jobs.py`, then `loop.py`."""
