"""Writes the site: pages from templates, the browser's data files, tables and pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeAlias

from jinja2 import BytecodeCache, Environment, PackageLoader, StrictUndefined
from jinja2.bccache import Bucket
from markupsafe import Markup

from judges.errors import ConfigError
from lm_eval_tasks.comparison.boards import Board, Collection
from lm_eval_tasks.comparison.pair import Settings
from lm_eval_tasks.comparison.reports.paper_table import paper_table
from lm_eval_tasks.leaderboard import tables
from lm_eval_tasks.leaderboard.asked_of_judge import asked_of_judge
from lm_eval_tasks.leaderboard.charts import svg
from lm_eval_tasks.leaderboard.charts.figures import write_figures
from lm_eval_tasks.leaderboard.charts.values import Bars, Chart, Interval, Plot, Shares
from lm_eval_tasks.leaderboard.columns import columns_of
from lm_eval_tasks.leaderboard.embed import script_json
from lm_eval_tasks.leaderboard.pages import samples
from lm_eval_tasks.leaderboard.pages.index import masthead, section, title_of
from lm_eval_tasks.leaderboard.pages.judges import PAGE, judges_page
from lm_eval_tasks.leaderboard.pages.model import model_page
from lm_eval_tasks.leaderboard.pages.pair import pair_page
from lm_eval_tasks.leaderboard.pages.training import Training, lambda_plot
from lm_eval_tasks.leaderboard.paths import Paths, paths_of
from lm_eval_tasks.leaderboard.rows import Scope, scopes_of
from lm_eval_tasks.leaderboard.words import board_title, points, task_title

MARKER = ".anchor-leaderboard"
"""A file that says that a folder was made by this module, and may be replaced by it."""

Figures: TypeAlias = Literal["none", "main", "all"]

_PACKAGE = "anchored-explanations"
_ENDINGS = {"Markdown": ".md", "LaTeX": ".tex", "CSV": ".csv"}
_ASSETS = Path(__file__).parent.parent / "assets"


@dataclass(frozen=True, slots=True)
class Written:
    """What was made.

    Attributes:
        index: The page to open.
        pages: Number of HTML pages.
        pictures: Number of picture files.
        files: Number of all files.
        bytes: Their size.
    """

    index: Path
    pages: int
    pictures: int
    files: int
    bytes: int

    def to_json(self) -> dict[str, Any]:
        """For machines."""
        return {**asdict(self), "index": str(self.index)}

    def text(self) -> str:
        """For people."""
        return (
            f"{self.index}: {self.pages} pages and {self.pictures} pictures, "
            f"{self.files} files of {self.bytes / 1e6:.1f} MB together"
        )


def write_site(
    collection: Collection,
    output: Path,
    *,
    title: str = "Explanations compared",
    trainings: Sequence[Training] = (),
    settings: Settings | None = None,
    figures: Figures = "none",
    live: str | None = None,
    gold: str | None = None,
    progress: Callable[[str], None] = lambda line: None,
) -> Written:
    """Writes all pages of a collection.

    Args:
        collection: What is shown.
        output: Folder of the site; made if absent. A site that an earlier call wrote there is replaced.
        title: Name of the site.
        trainings: Training runs, for the plot over lambda.
        settings: How figures are estimated.
        figures: Whose charts are drawn as picture files, too (by matplotlib): nobody's, the leaderboard's, or
            those of all models and pairs as well.
        live: Name of this state of the site, where pages ask a server whether there is a newer one; None for
            pages that are opened from files.
        gold: Name of judgements that judges are measured against, e.g. ``human``.
        progress: Gets a line for each step.

    Raises:
        ConfigError: If the folder holds something that isn't a site.
    """
    settings = settings or Settings()
    _clear(output)
    scopes = scopes_of(collection, settings)
    paths = paths_of(collection, [scope.key for scope in scopes])
    sections = [section(scope, collection, paths) for scope in scopes]
    table_files = _write_tables(scopes, paths, output) + _write_paper_table(collection, output)
    training = lambda_plot(trainings) if trainings else None
    models = {run: model_page(run, collection, scopes, paths, settings) for run in collection.runs}
    pairs = {pair: pair_page(pair, collection, paths, settings) for pair in sorted(paths.pairs)}
    charts: list[Chart] = []
    if figures != "none":
        charts += [chart for one in sections for chart in (*one.maps, *one.charts)]
        charts += [training] if training else []
    if figures == "all":
        charts += [chart for model in models.values() for chart in model.all_charts]
        charts += [chart for two in pairs.values() for chart in two.all_charts]
    if charts:
        progress(f"drawing {len(charts)} pictures")
    drawn = write_figures(charts, output / "figures") if charts else []
    head = masthead(
        title,
        collection,
        scopes,
        settings,
        table_files,
        [path.relative_to(output).as_posix() for path in drawn],
    )
    judges = judges_page(list(collection.runs.values()), settings, gold)
    environment = _environment(head, live, judges_audited=judges is not None)

    def write_page(template: str, path: str, **values: Any) -> None:
        target = output / path
        target.parent.mkdir(parents=True, exist_ok=True)
        root = "../" * path.count("/")
        target.write_text(environment.get_template(template).render(root=root, **values), encoding="utf-8")

    progress("writing pages")
    write_page("index.html", "index.html", scopes=sections, training=training)
    for run, model in models.items():
        write_page("model.html", paths.model(run), page=model)
    for (first, second), two in pairs.items():
        write_page("pair.html", paths.pair(first, second), page=two)
    write_page("samples.html", "samples.html", data=script_json(_browser(collection, paths)))
    if judges is not None:
        write_page("judges.html", PAGE, page=judges)
    for asset in sorted(_ASSETS.iterdir()):
        shutil.copyfile(asset, output / "assets" / asset.name)
    for board in collection.shelves:
        _write_samples(board, paths, output, progress)
    written = [path for path in output.rglob("*") if path.is_file()]
    return Written(
        index=output / "index.html",
        pages=sum(path.suffix == ".html" for path in written),
        pictures=len(drawn),
        files=len(written),
        bytes=sum(path.stat().st_size for path in written),
    )


def _clear(output: Path) -> None:
    """Makes an empty folder of ``output``; only what an earlier call wrote is ever removed."""
    if output.is_dir() and any(output.iterdir()):
        if not (output / MARKER).is_file():
            raise ConfigError(
                f"{output}: holds other files; name a new folder, or one that this command made"
            )
        for entry in output.iterdir():
            if entry.is_dir() and not entry.is_symlink():
                shutil.rmtree(entry)
            else:
                entry.unlink()
    elif output.exists() and not output.is_dir():
        raise ConfigError(f"{output}: is a file, not a folder")
    (output / "assets").mkdir(parents=True, exist_ok=True)
    (output / MARKER).write_text(
        "Made by anchor-eval leaderboard, which replaces this folder.\n", encoding="utf-8"
    )


class _CompiledTemplates(BytecodeCache):
    """Templates that this process has compiled: a site that is built again and again needs it once."""

    kept: ClassVar[dict[str, bytes]] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if bucket.key in self.kept:
            bucket.bytecode_from_string(self.kept[bucket.key])

    def dump_bytecode(self, bucket: Bucket) -> None:
        self.kept[bucket.key] = bucket.bytecode_to_string()


def _environment(head: Any, live: str | None, *, judges_audited: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("lm_eval_tasks.leaderboard"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_unbroken,
        trim_blocks=True,
        lstrip_blocks=True,
        bytecode_cache=_CompiledTemplates(),
    )
    environment.filters["points"] = points
    environment.globals.update(
        site=head, live=live, version=_version(), draw=draw, shade=shade, judges_audited=judges_audited
    )
    return environment


def _unbroken(value: Any) -> Any:
    """Keeps "win − loss" on one line."""
    return value.replace("in − loss", "in\u00a0−\u00a0loss") if type(value) is str else value


def draw(chart: Chart) -> Markup:
    """A chart as inline SVG for wide and narrow screens, with a legend where it has several series."""
    widths = (svg.WIDTH, svg.NARROW)
    if isinstance(chart, Bars):
        names = svg.legend(chart.series) if len(chart.series) > 1 else Markup("")
        return names + Markup("").join(svg.bars(chart, width) for width in widths)
    if isinstance(chart, Shares):
        return svg.legend(chart.parts, "p") + Markup("").join(svg.shares(chart, width) for width in widths)
    if isinstance(chart, Plot):
        labelled = all(point.label for series in chart.points for point in series)
        names = svg.legend(chart.series) if len(chart.series) > 1 and not labelled else Markup("")
        return names + Markup("").join(svg.plot(chart, width) for width in widths)
    raise TypeError(f"{chart.name}: heat maps are drawn as tables")


def shade(value: Interval) -> str:
    """Class of a cell of a heat map: how far from 0, and which way; none if the interval holds 0."""
    if value.low is None or value.high is None or value.low <= 0 <= value.high:
        return "w0"
    step = min(5, 1 + int(abs(value.value) * 10))
    return f"{'w' if value.value > 0 else 'l'}{step}"


def _write_tables(
    scopes: Sequence[Scope], paths: Paths, output: Path
) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """Writes all tables; title of each -> form and address of its files."""
    made = []
    for scope in scopes:
        columns = columns_of(scope)
        stem = output / "tables" / paths.scope[scope.key]
        stem.parent.mkdir(exist_ok=True)
        texts = {
            "Markdown": tables.markdown(columns, scope.rows),
            "LaTeX": tables.latex(columns, scope.rows, title_of(scope)),
            "CSV": tables.comma_separated(columns, scope.rows),
        }
        files = []
        for form, text in texts.items():
            path = stem.with_name(stem.name + _ENDINGS[form])
            path.write_text(text, encoding="utf-8")
            files.append((form, path.relative_to(output).as_posix()))
        made.append((title_of(scope), tuple(files)))
    return made


def _write_paper_table(collection: Collection, output: Path) -> list[tuple[str, tuple[tuple[str, str], ...]]]:
    """The main tables of all tasks in the columns of the paper's Table 1, where there is a baseline."""
    text = paper_table([board.table for board in collection.main])
    if text is None:
        return []
    path = output / "tables" / "paper.tex"
    path.write_text(text, encoding="utf-8")
    return [("Win, tie and loss against the baseline, as in the paper", (("LaTeX", "tables/paper.tex"),))]


def _browser(collection: Collection, paths: Paths) -> dict[str, Any]:
    """What the sample browser needs before it loads data."""
    tasks = []
    for board in collection.shelves:
        judges = [entry.task_run.judge for entry in board.entries.values()]
        judge = next((found for found in judges if found is not None), None)
        main = board.kind == "anyway" and board.key.startswith(f"{board.task} (anyway")
        tasks.append(
            {
                "key": paths.scope[board.key],
                "title": task_title(board.task) if main else board_title(board),
                "criteria": [] if judge is None else [[key, name] for key, name in judge.criteria.items()],
                "verdicts": [] if judge is None else list(judge.scale),
                "max": board.max_score,
                "units": 1 if judge is None else judge.units,
                "baseline": paths.run.get(collection.baseline or "")
                if collection.baseline in board.entries
                else None,
                "runs": [
                    {"key": paths.run[entry.run], "name": entry.run} for entry in board.entries.values()
                ],
            }
        )
    return {"tasks": tasks}


def _write_samples(board: Board, paths: Paths, output: Path, progress: Callable[[str], None]) -> None:
    key = paths.scope[board.key]
    folder = output / "data" / key
    samples.write_questions(folder, key, board.questions)
    judges = [entry.task_run.judge for entry in board.entries.values() if entry.task_run.judge]
    scale = samples.Scale(tuple(judges[0].criteria), tuple(judges[0].scale)) if judges else samples.Scale()
    for entry in board.entries.values():
        progress(f"{board.key}: writing the samples of {entry.run}")
        run = paths.run[entry.run]
        scored = {item.question.id: item for item in entry.task_run.read()}
        prompts = dict(entry.task_run.read_prompts())
        judge = asked_of_judge(entry.task_run)
        samples.write_run(folder / run, f"{key}/{run}", board.questions, scored, scale, prompts, judge)


def _version() -> str:
    try:
        return version(_PACKAGE)
    except PackageNotFoundError:
        return "(not installed)"
