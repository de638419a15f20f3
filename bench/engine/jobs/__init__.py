"""One job: data + backbone + recipe -> trained, scored -> records. Start reading at `perform.py`."""
