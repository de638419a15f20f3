"""Cutting a network into freezable units with timm's `group_matcher`, and setting which of them learn."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from timm.models._manipulate import group_with_matcher
from torch import nn

from bench.spec.recipe import Learning

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

@dataclass(frozen=True)
class Network:
    """A module and its units. Every parameter and buffer, and every module without children, has exactly one unit."""

    module: nn.Module
    unit_names: tuple[str, ...]  # stem first, head last
    parameters: tuple[dict[str, nn.Parameter], ...]  # per unit
    buffers: tuple[tuple[str, ...], ...]  # names, per unit
    modules: tuple[tuple[nn.Module, ...], ...]  # per unit: those that lie wholly within it
    added: frozenset[str] = frozenset()  # parameters that an adaptation brought

    @property
    def num_units(self) -> int:
        return len(self.unit_names)

    def names_below(self, unit: int) -> set[str]:
        """State-dict names of the units under `unit`."""
        return {name for i in range(unit) for name in (*self.parameters[i], *self.buffers[i])}

    def names_of(self, units: tuple[bool, ...]) -> list[str]:
        """State-dict names of the chosen units."""
        return [name for i, on in enumerate(units) if on for name in (*self.parameters[i], *self.buffers[i])]

    def learned(self, what: Learning) -> set[str]:
        """Names of the parameters that learn."""
        on = [unit for unit, learns in enumerate(what.units) if learns]
        return {name for unit in on for name in self.parameters[unit] if self._fits(name, unit, what)}

    @property
    def decaying(self) -> set[str]:
        """Names of the parameters that weight decay acts on: matrices and kernels, never biases and norms, nor what the
        network exempts itself (timm's `no_weight_decay`: class tokens, position tables). Nor IA3's factors, which peft
        keeps as a matrix of one column or row and which begin at 1."""
        listed = getattr(self.module, "no_weight_decay", None)
        exempt = set(listed()) if callable(listed) else set()
        exempt |= {name for name in self.added if ".ia3_l." in name}
        return {n for unit in self.parameters for n, p in unit.items() if p.ndim > 1 and n not in exempt}

    def _fits(self, name: str, unit: int, what: Learning) -> bool:
        if unit == self.num_units - 1:
            return True
        match what.tensors:
            case "all":
                return True
            case "biases":
                return name.endswith("bias")
            case "added":
                return name in self.added
            case _:
                owner = self.module.get_submodule(name.rpartition(".")[0])
                is_norm = isinstance(owner, NORMS) or "Norm" in type(owner).__name__
                if what.tensors == "added_and_norms":
                    return is_norm or name in self.added
                return is_norm == (what.tensors == "norms")

    def moving(self, what: Learning) -> list[str]:
        """State-dict names of all that training moves: these parameters, and statistics that are not kept."""
        live = [on and what.statistics != "kept" or what.statistics == "live" for on in what.units]
        learned = self.learned(what)
        return [
            name
            for unit, parameters in enumerate(self.parameters)
            for name in (*(n for n in parameters if n in learned), *(self.buffers[unit] if live[unit] else ()))
        ]

    def set_active(self, what: Learning) -> None:
        """A frozen unit is frozen wholly: no gradients, and its normalisation and dropout in eval mode."""
        assert len(what.units) == self.num_units
        learned = self.learned(what)
        for on, parameters, modules in zip(what.units, self.parameters, self.modules, strict=True):
            for name, parameter in parameters.items():
                parameter.requires_grad_(name in learned)
            for module in modules:
                module.training = on
                if what.statistics != "with_units" and isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.training = what.statistics == "live"


def cut_into_units(module: nn.Module, coarse: bool) -> Network:
    """Units in forward order. The classifier alone is the head; what timm groups with it joins the unit before."""
    leaves = [name for name, child in module.named_modules() if name and _is_leaf(child)]
    parameters = dict(module.named_parameters())
    kept = set(module.state_dict())  # constants that a module makes anew (positions, say) are no part of it
    buffers = [name for name, _ in module.named_buffers() if name in kept]
    head = _classifier_names(module)
    names = [*parameters, *buffers, *leaves]
    grouped = group_with_matcher(((n, n) for n in names), module.group_matcher(coarse=coarse))  # type: ignore[operator]
    groups: list[list[str]] = []
    for ordinal in sorted(grouped):
        body = [name for name in grouped[ordinal] if not _inside(name, head)]
        if any(name in parameters for name in body) and (ordinal != max(grouped) or not groups):
            groups.append(body)
        elif groups:
            groups[-1].extend(body)
        else:
            groups.append(body)
    _settle_strays(groups, leaves, {*parameters, *buffers})
    groups.append([name for name in names if _inside(name, head)])
    return Network(
        module=module,
        unit_names=tuple(getattr(module, "unit_names", None) or _unit_names(groups, parameters)),
        parameters=tuple({n: parameters[n] for n in parameters if n in set(group)} for group in groups),
        buffers=tuple(tuple(n for n in buffers if n in set(group)) for group in groups),
        modules=_modules_within(module, groups),
    )


def _settle_strays(groups: list[list[str]], leaves: list[str], tensors: set[str]) -> None:
    """A module without weights that timm matched with nothing (a dropout after the stem, say) came into the last group.
    It belongs to the unit of the module defined before it."""
    strays = {name for name in groups[-1] if name in leaves and not any(_inside(t, (name,)) for t in tensors)}
    groups[-1] = [name for name in groups[-1] if name not in strays]
    unit_of = {name: unit for unit, group in enumerate(groups) for name in group}
    unit = 0
    for name in leaves:
        unit = unit_of.get(name, unit)
        if name in strays:
            groups[unit].append(name)


def _modules_within(module: nn.Module, groups: list[list[str]]) -> tuple[tuple[nn.Module, ...], ...]:
    """Containers count too: some read their own `training` flag (dropout inside attention)."""
    unit_of = {name: unit for unit, group in enumerate(groups) for name in group}
    within: list[list[nn.Module]] = [[] for _ in groups]
    for name, child in module.named_modules():
        units = {unit for member, unit in unit_of.items() if member == name or member.startswith(name + ".")}
        if name and len(units) == 1:
            within[units.pop()].append(child)
    return tuple(tuple(modules) for modules in within)


def _is_leaf(module: nn.Module) -> bool:
    """Acts by itself: it has no children, or parameters and buffers of its own beside them (timm's BatchNormAct2d)."""
    return not any(True for _ in module.children()) or bool(module._parameters) or bool(module._buffers)


def _classifier_names(module: nn.Module) -> tuple[str, ...]:
    classifier = module.get_classifier()  # type: ignore[operator]
    parts = classifier if isinstance(classifier, tuple | list) else (classifier,)
    names = tuple(name for name, child in module.named_modules() if any(child is part for part in parts))
    if not names or not any(True for part in parts for _ in part.parameters()):
        raise ValueError(f"{type(module).__name__} has no classifier with parameters to use as the head")
    return names


def _inside(name: str, prefixes: Iterable[str]) -> bool:
    return any(name == prefix or name.startswith(prefix + ".") for prefix in prefixes)


def _unit_names(groups: list[list[str]], parameters: dict[str, nn.Parameter]) -> Iterable[str]:
    """`stem`, then the common beginning of each unit's parameter names (`layer3`, `blocks.7`), then `head`."""
    taken: set[str] = set()
    for number, group in enumerate(groups):
        if number == 0 or number == len(groups) - 1:
            name = "stem" if number == 0 else "head"
        else:
            name = _common_prefix([n.split(".") for n in group if n in parameters]) or f"unit{number}"
        yield name if name not in taken else f"unit{number}"
        taken.add(name)


def _common_prefix(paths: list[list[str]]) -> str:
    """The beginning that most names share; a unit often ends in a stray norm. Several numbered blocks (`layer2.0` and
    `layer2.1`) are named together: `layer2`."""
    best: list[str] = []
    total = len(paths)
    while True:
        counts = Counter(path[len(best)] for path in paths if len(path) > len(best) + 1)
        part, count = counts.most_common(1)[0] if counts else ("", 0)
        if 2 * count <= total or (part.isdigit() and sum(other.isdigit() for other in counts) > 1):
            return ".".join(best)
        best.append(part)
        paths = [path for path in paths if path[: len(best)] == best]
