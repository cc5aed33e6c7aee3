"""Which sites a backbone has, and what sits there."""

from __future__ import annotations

from typing import Any

from emokit.models.adapters import ADAPTERS
from emokit.models.adapters.base import place
from emokit.models.adapters.shapes import OTHER, all_sites
from emokit.models.model import EmotionModel
from emokit.models.private import site_key
from emokit.models.settings import part


def placement(model: EmotionModel) -> list[dict[str, Any]]:
    """List the sites by role, and the adapters of each with their numbers.

    Returns:
        A row for each adapter at a role, and for each role without: `role`, `sites` (how many of
        its sites the adapter has, or there are), `of` (how many there are), `adapter`, `shared`,
        `corpora` (how many get it), `stored` (numbers of one instance), `share` (of the numbers
        of the backbone). The role `other`, of modules that only biases can be added to, is left
        out where nothing sits.
    """
    sites = all_sites(model.backbone)
    size = sum(tensor.numel() for tensor in model.backbone.state_dict().values())
    rows: dict[str, list[dict[str, Any]]] = {role: [] for role in sites}
    for item in model.settings.adapters:
        cls, config = part(ADAPTERS, item)
        name = item["name"]
        groups = [own.groups[name] for own in map(model.part, model.corpora) if name in own.groups]
        counts: dict[str, list[int]] = {}
        for role, site, _ in place(cls, config, model.backbone, name):
            adapter = groups[0][site_key(site)] if groups and site_key(site) in groups[0] else None
            if adapter is not None:
                counts.setdefault(role, []).append(
                    sum(tensor.numel() for tensor in adapter.state_dict().values()))
        for role, numbers in counts.items():
            rows[role].append({
                "role": role, "sites": len(numbers), "of": len(sites[role]), "adapter": name,
                "shared": config.shared, "corpora": len(groups), "stored": sum(numbers),
                "share": sum(numbers) / size})
    for role, there in rows.items():
        if not there and role != OTHER:
            there.append({"role": role, "sites": len(sites[role]), "of": len(sites[role])})
    return [row for there in rows.values() for row in there]
