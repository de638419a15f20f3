"""The network that a suite recommends, for use elsewhere: which one (`choice.py`), trained again (`again.py`), written
and read back (`network.py`, `inputs.py`), described (`card.py`). `use_timm.py` and `use_bench.py` are copied beside it.
"""
