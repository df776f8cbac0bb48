"""What the nodes run, as a CycloneDX document: packages, kernels, images and the node program, as they report them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from holdfast.ops.reports import Report, Unreadable
from holdfast.topology import Cluster, names
from holdfast.topology.spec import Distribution

Component = dict[str, Any]
DISTRIBUTIONS = {it: it.value.rpartition("-")[0] for it in Distribution}


def document(cluster: Cluster, reports: Mapping[str, Report | Unreadable]) -> dict[str, Any]:
    """Each component once, with the nodes that have it. Of whom there is no report, is said in the metadata."""
    nodes_of: dict[str, list[str]] = {}
    components: dict[str, Component] = {}
    unknown = []
    for node in cluster.nodes:
        report = reports.get(node.name)
        if not isinstance(report, Report) or report.software is None:
            unknown.append(node.name)
            continue
        for component in _components(report, node.machine.image):
            components[component["bom-ref"]] = component
            nodes_of.setdefault(component["bom-ref"], []).append(node.name)
    listed = [it | {"properties": _properties(node=nodes_of[ref])} for ref, it in sorted(components.items())]
    about = {"type": "platform", "name": f"{names.PROJECT}/{cluster.environment.name}"}
    said = str([about, listed, unknown])
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, said)}",
        "version": 1,
        "metadata": {"component": about, "properties": _properties(unknown=unknown)},
        "components": listed,
    }


def unknown(made: Mapping[str, Any]) -> list[str]:
    """The nodes that a document knows nothing of."""
    return [it["value"] for it in made["metadata"]["properties"]]


def _components(report: Report, image: Distribution) -> list[Component]:
    software, distribution = report.software, DISTRIBUTIONS[image]
    assert software is not None
    found: list[Component] = [
        {
            "type": "application",
            "bom-ref": (url := f"pkg:deb/{distribution}/{name}@{quote(version, safe='~-._')}?distro={image}"),
            "name": name,
            "version": version,
            "purl": url,
        }
        for name, version in software.packages.items()
    ]
    found.append(_thing("operating-system", "linux", software.kernel))
    if software.image is not None:
        found.append(_thing("operating-system", str(image), software.image))
    if report.program is not None:
        program = _thing("application", "holdfast-node", report.program)
        found.append(program | {"hashes": [{"alg": "SHA-256", "content": report.program}]})
    return found


def _thing(kind: str, name: str, version: str) -> Component:
    return {"type": kind, "bom-ref": f"{name}@{version}", "name": name, "version": version}


def _properties(**values: list[str]) -> list[dict[str, str]]:
    return [{"name": f"{names.PROJECT}:{name}", "value": value} for name, listed in values.items() for value in listed]
