"""Stage ``cluster``: accepted principles that say the same become one, and all of them a constitution."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from anchor_train.principles.clustering import Cluster, Matrix, cluster, counted, distances, new_principles
from anchor_train.principles.discovery import fold
from anchor_train.principles.embeddings import TF_IDF, check_installed, embedder
from anchor_train.principles.records import Discovery
from anchor_train.principles.report import CONSTITUTION, ConstitutionReport
from anchor_train.recipes.section_settings import ClusterSettings
from anchor_train.run.dependencies import Basis
from anchor_train.run.stage import StageJob, StageResult
from anchor_train.stages.discover import read_discoveries
from anchor_train.stages.parts.kind import Example, Planned, StageKind, Summary
from judges.errors import DataError
from judges.rubrics.constitution import Constitution, Principle, PrincipleExample, load_constitution
from judges.storage.files import read_records, replacing, write_json, write_records
from lm_eval_tasks.json_records import JsonRecord

MEMBERS = "members.jsonl"
REPORT = "report.json"
EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Member(JsonRecord):
    """A distinct principle, and the medoid of its cluster."""

    principle: str
    medoid: str


def cluster_principles(job: StageJob) -> StageResult:
    """Does the stage.

    Raises:
        DataError: If only one principle is left and that isn't allowed.
        ConfigError: If the embedding model can't be loaded.
    """
    settings = job.recipe.staple.cluster
    found = read_discoveries(job.needed("discoveries"))
    earlier = [
        text
        for name in sorted(job.stage.needs)
        if name != "discoveries"
        for text in read_medoids(job.needed(name))
    ]
    embed = embedder(settings.embedding)
    counts = counted([discovery.principle for discovery in found])
    between = distances(embed(list(counts)))
    clusters = cluster(counts, between, settings.threshold)
    _check(clusters, between, settings)
    name = settings.embedding or TF_IDF
    new = new_principles(counts, earlier, embed, settings.threshold)
    report = ConstitutionReport.of(job.stage.round, clusters, new, name, settings.threshold)
    constitution = constitution_of(
        clusters, found, {"round": job.stage.round, "embedding": name, "threshold": settings.threshold}
    )
    with replacing(job.folder / CONSTITUTION) as file:
        file.write(constitution.to_yaml(CONSTITUTION))
    write_records(
        job.folder / MEMBERS,
        (Member(text, c.medoid).to_json() for c in clusters for text in c.members),
    )
    write_json(job.folder / REPORT, report.to_json())
    return StageResult((CONSTITUTION, MEMBERS), report.to_json())


def read_constitution(folder: Path) -> Constitution:
    """The constitution that the stage left."""
    return load_constitution(folder / CONSTITUTION)


def read_members(folder: Path) -> dict[str, str]:
    """What the stage left: folded principle -> medoid of its cluster."""
    return {fold(found.principle): found.medoid for found in read_records(folder / MEMBERS, Member.from_json)}


def read_medoids(folder: Path) -> list[str]:
    """The principles that stand for a cluster, the most frequent first."""
    return list(dict.fromkeys(found.medoid for found in read_records(folder / MEMBERS, Member.from_json)))


def constitution_of(
    clusters: Sequence[Cluster], discoveries: Sequence[Discovery], settings: Mapping[str, Any]
) -> Constitution:
    """A principle for each cluster, with the replies that gained most by it as examples."""
    by_text: dict[str, list[Discovery]] = {}
    for discovery in sorted(discoveries, key=lambda found: -found.gain):
        by_text.setdefault(fold(discovery.principle), []).append(discovery)
    return Constitution(
        principles=tuple(
            Principle(
                text=found.medoid,
                count=found.count,
                members=found.members,
                examples=tuple(_examples([d for text in found.members for d in by_text[fold(text)]])),
            )
            for found in clusters
        ),
        settings=settings,
    )


def _examples(discoveries: Sequence[Discovery]) -> list[PrincipleExample]:
    best = sorted(discoveries, key=lambda found: -found.gain)[:EXAMPLES]
    return [PrincipleExample(question=d.question_id, before=d.before, after=d.after) for d in best]


def _check(clusters: Sequence[Cluster], between: Matrix, settings: ClusterSettings) -> None:
    """Refuses a constitution of one principle: there would be nothing to choose between when it is learnt."""
    if len(clusters) > 1 or settings.allow_one:
        return
    (only,) = clusters
    allow = "or go on with one principle: staple.cluster.allow_one=true"
    if len(only.members) == 1:
        raise DataError(
            f"all {only.count} accepted principles say the same ({only.medoid!r}): raise "
            f"staple.discover.temperature or staple.discover.n, {allow}"
        )
    apart = between[np.triu_indices(len(between), 1)]
    raise DataError(
        f"staple.cluster.threshold {settings.threshold:g} leaves one cluster of {len(only.members)} distinct "
        f"principles, whose distances are {apart.min():.2f} to {apart.max():.2f} (median "
        f"{np.median(apart):.2f}): lower it, {allow}"
    )


def _card(found: Summary, folder: Path) -> str:
    principles = "\n".join(f"{n}. {text}" for n, text in enumerate(read_constitution(folder).texts, 1))
    return f"The principles that it was taught, in its own words, the most frequent first:\n\n{principles}\n"


def _show(job: StageJob) -> Iterator[Example]:
    for number, principle in enumerate(read_constitution(job.folder).principles, 1):
        members = "\n".join(f"    {member}" for member in principle.members)
        text = f"=== principle {number}, helped {principle.count} times\n{principle.text}\n{members}"
        yield Example(job.stage.key, str(number), text, principle.model_dump(mode="json"))


KIND = StageKind(
    "cluster",
    work=cluster_principles,
    basis=lambda stage, of: Basis(of.settings("staple.cluster", of=stage.strategy), {}),
    plan=lambda job, preview: Planned("clusters the accepted principles"),
    line=lambda found: ConstitutionReport.from_json(found).line(),
    report=lambda found, folder: f"{ConstitutionReport.from_json(found).to_text()}\n{folder / CONSTITUTION}",
    card=_card,
    show=_show,
    file=MEMBERS,
    commands=("principles cluster",),
    own_process=True,
    check=lambda recipe: check_installed(recipe.staple.cluster.embedding),
)
