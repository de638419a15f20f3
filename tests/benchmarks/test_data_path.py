"""Images on their way to the network: whole batches on the device, or a loader with two workers and PIL."""

import pytest
import torch
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.transforms import functional as TF

from bench.engine.train.inputs import Direct, Share
from bench.modalities.pixels import Augment, _changed, prepare
from tests.benchmarks import workshop
from tests.benchmarks.arms import Arm
from tests.benchmarks.plain import WORKERS, Pictures
from tests.benchmarks.sizes import sized

SHIFT, BATCH = 4, 128


def loaded(loader):
    return sum(len(labels) for _, labels in loader)


@pytest.mark.parametrize(("changed", "target", "floor"), [(True, 5, 5.0), (False, 30, 18.0)])
def test_data_path(race, shop, changed, target, floor):
    images = shop.context(shop.blobs(32, sized(8192, 512))).data(shop.blobs(32, sized(8192, 512))).train
    pipeline = workshop.pipeline(32)
    changes = (
        [transforms.RandomCrop(32, SHIFT, padding_mode="edge"), transforms.RandomHorizontalFlip()] if changed else []
    )
    loader = DataLoader(
        Pictures(images, pipeline, changes), BATCH, shuffle=changed, num_workers=WORKERS, persistent_workers=True
    )
    supply = Direct(pipeline, Augment(changed, SHIFT if changed else 0))
    generator = torch.Generator().manual_seed(0) if changed else None

    def resident():
        order = torch.randperm(len(images)) if changed else torch.arange(len(images))
        parts = [Share(images, index, generator) for index in order.split(BATCH)]
        return sum(supply.batches([part])[0].shape[1] for part in parts)

    found = race.measure(
        {"loader": Arm(lambda: loaded(loader)), "engine": Arm(resident)}, rounds=5, warm_up=("loader", "engine")
    )
    name = "data path, 32 px, " + ("shift, flip, normalise" if changed else "evaluation")
    race.tell(name, "loader", "engine", shop.target(target, 100), floor)
    race.benchmark.extra_info["images_per_second"] = {arm: len(images) / race.seconds(arm) for arm in race.timed}
    assert found["loader"] == found["engine"] == len(images)
    check(images, pipeline)
    race.settle()


def check(images, pipeline):
    """The same pixels, as they are and for the same draws."""
    index = torch.arange(16)
    pixels = images.take(index).values[0]
    mirrored = torch.rand(16, generator=torch.Generator().manual_seed(1)) < 0.5
    offsets = torch.randint(-SHIFT, SHIFT + 1, (2, 16, 1), generator=torch.Generator().manual_seed(2))
    plain, moved = Pictures(images, pipeline), prepare(_changed(pixels, mirrored, offsets).pixels, pipeline).cpu()
    for number in range(16):
        expected = plain[number][0]
        found = Direct(pipeline).batches([Share(images, index)])[0][0, number].cpu()
        torch.testing.assert_close(found, expected)
        flipped = TF.hflip(pixels[number]) if mirrored[number] else pixels[number]
        down, right = (SHIFT + int(offset[number]) for offset in offsets)
        crop = TF.crop(TF.pad(flipped, [SHIFT], padding_mode="edge"), down, right, 32, 32).cpu()
        torch.testing.assert_close(moved[number], TF.normalize(crop / 255, pipeline.mean, pipeline.std))
