"""The classifier that a training begins with. Architectures draw theirs in very different ways (timm's MobileNets
eleven times as wide as `nn.Linear`), and that alone moves a score by 20 points, so a suite says how every head
starts."""

from collections import OrderedDict

from torch import nn

from bench.errors import BenchError
from bench.spec.refs import NewHead

SMALL = 0.01  # standard deviation
LINEAR = (nn.Linear, nn.Conv2d)


def give_head(module: nn.Module, head: NewHead) -> None:
    """In place, drawing from torch's generator. Afterwards logits are linear in the head's last layer."""
    for classifier in _classifiers(module):
        classifier = _without_activation(module, classifier)
        if head.hidden:
            classifier = _with_hidden_layer(module, classifier, head)
        _begin(_last_layer(classifier), head)


def _classifiers(module: nn.Module) -> list[nn.Module]:
    """One, or several where a network was distilled with two."""
    classifier = module.get_classifier()  # type: ignore[operator]
    return list(classifier) if isinstance(classifier, tuple | list) else [classifier]


def names_of_classifiers(module: nn.Module) -> list[str]:
    return [_name_of(module, classifier) for classifier in _classifiers(module)]


def _begin(layer: nn.Module, head: NewHead) -> None:
    if head.start == "architecture":
        return
    if not isinstance(layer, LINEAR):
        raise BenchError(f"the head ends in a {type(layer).__name__}, which cannot start at chosen weights; "
                         "say `head: architecture`")
    if head.start == "zero":
        nn.init.zeros_(layer.weight)
    else:
        nn.init.normal_(layer.weight, std=SMALL)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _last_layer(classifier: nn.Module) -> nn.Module:
    return [child for child in classifier.modules() if child._parameters][-1]


def _with_hidden_layer(module: nn.Module, classifier: nn.Module, head: NewHead) -> nn.Module:
    """Linear, ReLU, dropout, linear. The hidden layer is drawn as torch draws it: all-zero weights never learn."""
    if not isinstance(classifier, nn.Linear):
        raise BenchError(f"a hidden layer takes the place of one linear layer, and this head is a "
                         f"{type(classifier).__name__}")
    made = nn.Sequential(
        nn.Linear(classifier.in_features, head.hidden),
        nn.ReLU(),
        nn.Dropout(head.dropout),
        nn.Linear(head.hidden, classifier.out_features),
    )
    _put(module, _name_of(module, classifier), classifier, made)
    return made


def _without_activation(module: nn.Module, classifier: nn.Module) -> nn.Module:
    """A 1x1 convolution, a ReLU, then the mean over places (torchvision's SqueezeNet): there a class can die, and no
    probe applies. Without the ReLU both orders are the same, so it becomes the mean and a linear layer."""
    path, _, own = _name_of(module, classifier).rpartition(".")
    parent = module.get_submodule(path)
    if not isinstance(classifier, nn.Conv2d) or not isinstance(parent, nn.Sequential):
        return classifier
    behind = [child for child in parent[int(own) + 1 :] if not isinstance(child, nn.Flatten | nn.Identity)]
    if classifier.kernel_size != (1, 1) or [type(child) for child in behind] != [nn.ReLU, nn.AdaptiveAvgPool2d]:
        return classifier
    linear = nn.Linear(classifier.in_channels, classifier.out_channels)
    linear.weight.data.copy_(classifier.weight.data.flatten(1))
    if classifier.bias is not None:
        linear.bias.data.copy_(classifier.bias.data)
    before = [(name, child) for name, child in parent.named_children() if int(name) < int(own)]
    parts = [*before, ("pool", nn.AdaptiveAvgPool2d(1)), ("flatten", nn.Flatten()), (own, linear)]
    module.set_submodule(path, nn.Sequential(OrderedDict(parts)))
    _answer_with(module, classifier, linear)
    return linear


def _name_of(module: nn.Module, part: nn.Module) -> str:
    names: dict[int, str] = {id(child): name for name, child in module.named_modules()}
    return names[id(part)]


def _put(module: nn.Module, name: str, old: nn.Module, new: nn.Module) -> None:
    module.set_submodule(name, new)
    _answer_with(module, old, new)


def _answer_with(module: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """timm's networks look their classifier up; one that keeps it (see `torchvision_models.py`) is told."""
    if module.get_classifier() is old:  # type: ignore[operator]
        module.get_classifier = lambda: new  # type: ignore[assignment]
