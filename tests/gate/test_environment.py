from bench.gate.environment import Environment, device_model, differences

PROVENANCE = {
    "device": "cpu", "platform": "Linux x86_64", "processor": "A Processor", "threads": 1, "python": "3.11.0",
    "libraries": {"torch": "2.14", "torchvision": "0.29", "timm": "1.0", "optuna": "5.0", "numpy": "2.4",
                  "scipy": "1.17", "scikit-learn": "1.9"},
}  # fmt: skip


def other(**more):
    return Environment.of({**PROVENANCE, **more})


def libraries(**versions):
    return {"libraries": {**PROVENANCE["libraries"], **{n.replace("_", "-"): v for n, v in versions.items()}}}


def test_in_a_line():
    assert str(other()) == (
        "cpu, x86_64, torch 2.14, torchvision 0.29, timm 1.0, optuna 5.0, numpy 2.4, scikit-learn 1.9"
    )


def test_differences_are_named():
    assert differences(other(), other()) == []
    assert differences(other(), other(**libraries(torch="2.15"))) == ["torch 2.14 -> 2.15"]
    assert differences(other(), other(device="A GPU", platform="Linux aarch64")) == [
        "device cpu -> A GPU", "machine x86_64 -> aarch64"
    ]  # fmt: skip
    assert differences(other(), other(**libraries(scikit_learn="2.0"))) == ["scikit-learn 1.9 -> 2.0"]


def test_what_moves_no_number_is_not_in_it():
    assert other(python="3.12.0", processor="Another", cores=64, commit="x") == other()
    assert other(**libraries(scipy="2.0")) == other()


def test_there_and_back():
    assert Environment.from_dict(other().as_dict()) == other()


def test_what_a_record_does_not_say_is_unknown():
    empty = Environment.of({})
    assert empty.as_dict()["torch"] == "unknown"
    assert (empty.device, empty.machine) == ("unknown", "unknown")


def test_device_model_is_the_gpu_or_the_processor():
    assert device_model(PROVENANCE) == "A Processor"
    assert device_model({**PROVENANCE, "device": "A GPU"}) == "A GPU"
    assert device_model({}) == "unknown"
