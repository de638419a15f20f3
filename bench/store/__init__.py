"""Records and weights on disk. Nothing here imports torch."""

from bench.store import blobs
from bench.store.blobs import get, has, path_of, put
from bench.store.reading import Damaged
from bench.store.record import Record
from bench.store.store import Scanned, Store

__all__ = ["Damaged", "Record", "Scanned", "Store", "blobs", "get", "has", "path_of", "put"]
