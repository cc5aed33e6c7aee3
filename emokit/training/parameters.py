"""The table of `emokit train --print-parameters`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from emokit.training.config import TrainConfig

_PARTS = ("backbone", "norms", "adapters", "pooling", "head")


def parameter_table(config: TrainConfig, labels: Mapping[str, Sequence[str]], format: str,
                    dimensions: Mapping[str, Sequence[str]] | None = None) -> str:
    """Give how many numbers a model stores, and what sits where in its backbone.

    First what is shared, per corpus, and against a single model; then the sites by role with
    their adapters. For people these are two tables, in csv and json the rows of one.

    Args:
        config: as `effective` gives it.
        labels: head to classes.
        format: of `emokit.evaluation.tables.render`.
        dimensions: head to dimensions, if there are any.
    """
    import torch

    from emokit.evaluation.tables import Column, render
    from emokit.models.model import EmotionModel
    from emokit.models.placement import placement

    with torch.device("meta"):
        model = EmotionModel(config.model_settings(), labels, dimensions)
    found = placement(model)
    rows, sites = _sizes(model), [_site(row) for row in found]
    adapted = [row for row in found if "adapter" in row]
    if adapted:
        sites.append({"what": "one of each adapter", "role": "together",
                      **{key: sum(row[key] for row in adapted) for key in ("stored", "share")}})
    if format in ("csv", "json"):
        return render([*rows, *sites], format)
    sizes = render(rows, format, [
        Column("what", "Weights and statistics"), Column("classes", "K", "count"),
        *(Column(part, part.capitalize(), "count") for part in _PARTS),
        Column("stored", "Stored", "count"), Column("ratio", "Ratio", "number")])
    places = render(sites, format, [
        Column("role", "Site"), Column("of", "There are", "count"), Column("adapter", "Adapter"),
        Column("sites", "At", "count"), Column("given", "One for"),
        Column("stored", "Numbers", "count"), Column("share", "% of backbone", "share")])
    return f"{sizes}\n\n{places}"


def _sizes(model) -> list[dict[str, Any]]:
    from emokit.models.budget import budget

    found = budget(model)
    private = {part: sum(entry.get(part, 0) for entry in found["corpora"].values())
               for part in _PARTS}
    single = found["single"]["stored"]
    shared = {part: found["parts"][part] - private[part] for part in _PARTS}
    stored = sum(shared.values())
    return [
        {"what": "shared", **shared, "stored": stored, "ratio": stored / single},
        *({"what": corpus, "classes": entry["classes"],
           **{part: entry.get(part, 0) for part in _PARTS}, "stored": entry["stored"],
           "ratio": entry["share"]} for corpus, entry in found["corpora"].items()),
        {"what": "whole model", **found["parts"], "stored": found["stored"],
         "ratio": found["ratio"]},
        {"what": "one single-corpus model", "stored": single, "ratio": 1.0},
    ]


def _site(row: Mapping[str, Any]) -> dict[str, Any]:
    adapter = row.get("adapter")
    if adapter is None:
        return {"what": f"sites {row['role']}", "role": row["role"], "of": row["of"]}
    given = "all together" if row["shared"] else f"each of {row['corpora']}"
    return {"what": f"{adapter} at {row['role']}", **row, "given": given}
