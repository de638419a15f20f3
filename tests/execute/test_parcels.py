"""What a machine without this folder of results is sent: enough to do the work, and whole."""

import shutil

import pytest

from bench.datasets import cache as dataset_cache
from bench.errors import StoreError
from bench.execute.messages import Bundle
from bench.execute.parcels import Content, Entry, Parcels, checkpoint, made_by, pieces, settle
from bench.keys import digest
from bench.store import Store, atomic, blobs, encoding
from tests.execute.plans import fill, of_kind, record_of, tiny_plan


@pytest.fixture
def sender(tmp_path):
    """A plan whose records are all made, and the parcels of its folder."""
    (tmp_path / "here").mkdir()
    plan, roots, _ = tiny_plan(tmp_path / "here")
    fill(plan, roots)
    return plan, roots, Parcels(plan, roots)


def test_a_final_gets_its_trials_and_its_pretraining_and_nothing_else(sender):
    plan, roots, parcels = sender
    job = of_kind(plan, "final")[0]
    order = parcels.order(Bundle((job,)))
    read, left = set(), [job]
    while left:
        read |= set(left[-1].record_keys)
        left += [plan.jobs[key] for key in left.pop().needs]
    assert {name.rpartition("/")[2].removesuffix(".json") for name in order.files} == read
    assert len(read) < len(plan.jobs)
    for name, content in order.files.items():
        assert (roots.results / name).read_bytes() == content


def test_a_data_set_travels_and_is_whole_where_its_origin_is_unknown(tmp_path, sender):
    plan, roots, parcels = sender
    job = of_kind(plan, "search")[0]
    ref = job.spec.data.as_read
    options = plan.sources[digest(ref)].options
    entry = Entry(ref, options)
    dataset_cache.load(ref.name, entry._options, roots.cache, ref.revision)
    thing = next(one for one in parcels.order(Bundle((job,))).things if isinstance(one, Entry) and one.ref == ref)
    node = tmp_path / "node"
    assert not thing.is_whole(node)
    place = thing.place(node)
    place.parent.mkdir(parents=True)
    settle(place, pieces(parcels.path_of(thing)))
    assert thing.is_whole(node)
    labels = place / "train_labels.npy"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\x07")
    assert not thing.is_whole(node), "damaged, so it is sent again"
    settle(place, pieces(parcels.path_of(thing)))
    assert thing.is_whole(node)
    assert [path.name for path in place.parent.iterdir()] == [place.name]


def test_weights_are_known_by_their_content(tmp_path):
    sha256 = blobs.put(tmp_path / "there", b"weights" * 1000)
    thing, path = Content(sha256), blobs.path_of(tmp_path / "there", sha256)
    assert checkpoint(f"timm/net@{sha256}", path) == thing
    place = thing.place(tmp_path / "node")
    place.parent.mkdir(parents=True)
    settle(place, pieces(path))
    assert thing.is_whole(tmp_path / "node")
    place.write_bytes(b"others")
    assert not thing.is_whole(tmp_path / "node")


def test_a_record_comes_back_with_what_it_names(tmp_path, sender):
    plan, roots, parcels = sender
    job = of_kind(plan, "pretrain")[0]
    there = Store(tmp_path / "node")
    sha256 = blobs.put(there.root, b"learned")
    record = record_of(job, roots)
    record.result["weights_sha256"] = sha256
    there.write(record)
    made = made_by(there, there.read(job.key), there.root)
    shutil.rmtree(roots.shared.root)
    parcels.keep(made, job)
    assert encoding.encode(roots.shared.read(job.key)) == encoding.encode(record)
    assert blobs.get(roots.shared.root, sha256) == b"learned"


def test_what_is_no_record_is_not_written(sender):
    plan, roots, parcels = sender
    job = of_kind(plan, "final")[0]
    store = roots.store_of(job)
    made = made_by(store, store.read(job.key), store.root)
    before = store.path(job.key).read_bytes()
    with pytest.raises(StoreError, match="a node sent a record that is none: changed since it was written"):
        parcels.keep(type(made)(made.key, made.record.replace(b'"ok"', b'"no"')), job)
    assert store.path(job.key).read_bytes() == before


def test_a_half_written_thing_has_no_name(tmp_path):
    def breaks():
        yield b"half"
        raise OSError("gone")

    place = tmp_path / "thing"
    with pytest.raises(OSError, match="gone"):
        settle(place, [("file", breaks())])
    assert list(tmp_path.iterdir()) == []
    assert atomic.sweep(tmp_path) == 0
