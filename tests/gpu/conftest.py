"""The device of these tests: the pretend one in every run, a real one where `-m gpu` asks for it."""

import pytest
import torch

from bench.engine.train import precision
from tests.gpu.pretend import DEVICE, pretend_device


@pytest.fixture(params=["pretend", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    if request.param == "pretend":
        with pretend_device():
            yield DEVICE
        return
    if not torch.cuda.is_available():
        pytest.fail("no accelerator")
    precision.set_explicitly()
    yield DEVICE
