"""A claim's cells, and what it says of them, in words."""

from collections.abc import Iterable, Sequence

from bench.analysis.words import in_points, labels, listed
from bench.planning.claims import Place, Side
from bench.suite.claims_schema import ClaimSpec


def region_text(claim: ClaimSpec) -> str:
    """`by more than 1 point`, `equal within 1 point`; of one side alone `above 50 %`"""
    is_difference = claim.less is not None
    unit = "points" if is_difference else "%"
    if claim.between is not None:
        return f"between {claim.between[0]:g} and {claim.between[1]:g} {unit}"
    if claim.within is not None:
        return f"equal within {in_points(claim.within)}"
    assert claim.above is not None, "one of the three is given"
    if not is_difference:
        return f"above {claim.above:g} %"
    if claim.above < 0:
        return f"lower by {in_points(-claim.above)} at most"
    return f"higher by more than {in_points(claim.above)}" if claim.above else "higher"


def compared(sides: Sequence[Side]) -> str:
    """`full_finetune − scratch, on near and far, with 5 labels per class`: what all sides share stands at the end."""
    facets = [[_facets(place) for place in side.places] for side in sides]
    if not all(facets):
        return "no cells"
    axes = list(facets[0][0])
    by_side = [{axis: _unique(one[axis] for one in own if one[axis]) for axis in axes} for own in facets]
    shared = [axis for axis in axes if all(one[axis] == by_side[0][axis] for one in by_side)]
    if len(sides) == 1:
        shared.remove("way")
    own = [" · ".join(_text(axis, one[axis]) for axis in axes if axis not in shared and one[axis]) for one in by_side]
    text = own[0] if len(own) == 1 else f"{own[0]} − {own[1]}"
    if len(own) > 2:
        text = f"({text}) − ({own[2]} − {own[3]})"
    ends = [f"{BEFORE[axis]} {_text(axis, by_side[0][axis])}" for axis in shared if by_side[0][axis]]
    return ", ".join([text, *ends])


BEFORE = {"way": "by", "units": "with", "dataset": "on", "budget": "with", "backbone": "from"}


def _facets(place: Place) -> dict[str, str]:
    if place["treatment"]:
        pair = "random halves" if place["pair"].startswith("split ") else place["pair"]
        return {"way": place["treatment"], "units": str(int(place["keep"]) or ""), "dataset": pair}
    return {"way": place["strategy"], "dataset": place["dataset"], "budget": place["budget"],
            "backbone": place["backbone"]}  # fmt: skip


def _text(axis: str, names: list[str]) -> str:
    """`near and far`, `1, 3 and 5 units kept`, `2 and 20 labels per class`"""
    if axis == "units":
        return f"{listed(names)} unit{'' if names == ['1'] else 's'} kept"
    if axis == "budget":
        numbers = all(one.isdigit() for one in names)
        return f"{listed(names)} labels per class" if numbers and len(names) > 1 else listed(list(map(labels, names)))
    return listed(names)


def _unique(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(names))
