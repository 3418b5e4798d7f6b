"""Turn a drawing into one `<svg>` element for a page: in the page's ink, with points that say their numbers."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

from satdsl.report.charts.drawing import Drawing, HoverTarget, printable
from satdsl.report.charts.theme import INK

_SVG = "http://www.w3.org/2000/svg"
_XLINK = "http://www.w3.org/1999/xlink"
_REFERENCE = re.compile(r"url\(#([^)]+)\)")
_LONG = re.compile(r"-?\d+\.\d{3,}")
_FONT = re.compile(r"font: (?:(?P<weight>bold|[1-9]00) )?(?P<size>[\d.]+px) [^;]*")
_ROUNDED = ("d", "x", "y", "transform", "width", "height")


def inline_svg(drawing: Drawing, *, prefix: str, label: str, description: str) -> str:
    """Return the figure as an `<svg>` for HTML, whose ids start with `prefix`; `label` and `description` are heard.

    Call it within the theme that the figure was drawn in.
    """
    root = ET.fromstring(drawing.to_bytes("svg"))
    targets = {target.gid: target for target in drawing.targets}
    _strip(root)
    for element in root.iter():
        target = targets.pop(element.get("id", ""), None)
        _adapt(element, prefix)
        if target is not None:
            _make_target(element, target, drawing)
    for target in targets.values():
        _make_target(ET.SubElement(root, f"{{{_SVG}}}g"), target, drawing)
    _describe(root, prefix, label, description)
    ET.register_namespace("", _SVG)
    return ET.tostring(root, encoding="unicode")


def _strip(root: ET.Element) -> None:
    """Remove the metadata, and the style sheet, which would hold for the whole page."""
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag in (f"{{{_SVG}}}metadata", f"{{{_SVG}}}style"):
                parent.remove(child)
    for parent in list(root.iter()):
        for child in list(parent):
            if child.tag == f"{{{_SVG}}}defs" and not len(child):
                parent.remove(child)


def _adapt(element: ET.Element, prefix: str) -> None:
    """Give an element ids and references of its own, fewer digits, and the page's ink and fonts."""
    if (link := element.attrib.pop(f"{{{_XLINK}}}href", None)) is not None:
        element.set("href", f"#{prefix}-{link[1:]}" if link.startswith("#") else link)
    is_image = element.tag == f"{{{_SVG}}}image"
    for name, value in element.attrib.items():
        if name == "id":
            value = f"{prefix}-{value}"
        elif name in _ROUNDED and not is_image:
            value = " ".join(_LONG.sub(_rounded, value).split())
        elif name == "style":
            value = _FONT.sub(_font, value).replace(INK, "currentColor")
        element.set(name, _REFERENCE.sub(rf"url(#{prefix}-\1)", value))


def _rounded(found: re.Match[str]) -> str:
    return f"{float(found.group()):.2f}".rstrip("0").rstrip(".")


def _font(found: re.Match[str]) -> str:
    weight = f"font-weight: {found['weight']}; " if found["weight"] else ""
    return f"{weight}font-size: {found['size']}"


def _make_target(element: ET.Element, target: HoverTarget, drawing: Drawing) -> None:
    """Make an element a point that can be focused and pointed at, and says its number."""
    element.attrib.pop("id", None)
    element.set("class", target.kind)
    element.set("tabindex", "-1")
    for name, value in (("data-series", target.series), ("data-x", target.x)):
        if value:
            element.set(name, printable(value))
    title = ET.Element(f"{{{_SVG}}}title")
    title.text = printable(target.tooltip)
    element.insert(0, title)
    element.append(_hit_area(target, drawing))


def _hit_area(target: HoverTarget, drawing: Drawing) -> ET.Element:
    height = float(drawing.figure.bbox.height)
    corners = [tuple(map(float, target.transform.transform(corner))) for corner in target.corners]
    left, right = sorted(x for x, _ in corners)
    top, bottom = sorted(height - y for _, y in corners)
    area = {
        "class": "hit",
        "x": left - target.pad,
        "y": top - target.pad,
        "width": right - left + 2 * target.pad,
        "height": bottom - top + 2 * target.pad,
        "fill": "none",
        "pointer-events": "all",
    }
    if left == right:
        area["rx"] = target.pad
    attributes = {
        name: f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
        for name, value in area.items()
    }
    return ET.Element(f"{{{_SVG}}}rect", attributes)


def _describe(root: ET.Element, prefix: str, label: str, description: str) -> None:
    width = float(root.attrib.pop("width").removesuffix("pt"))
    root.attrib.pop("height")
    root.attrib.pop("version", None)
    root.set("class", "figure")
    root.set("role", "img")
    root.set("aria-label", printable(label))
    root.set("aria-describedby", f"{prefix}-desc")
    root.set("stroke-linejoin", "round")
    root.set("stroke-linecap", "butt")
    root.set("style", f"width: 100%; height: auto; max-width: {width * 1.9:.0f}px; font-family: inherit")
    desc = ET.Element(f"{{{_SVG}}}desc", {"id": f"{prefix}-desc"})
    desc.text = printable(description)
    root.insert(0, desc)
