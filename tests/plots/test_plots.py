"""Figures: what they show, labels as given, nothing on top of anything else."""

from __future__ import annotations

import itertools
import re
from functools import cache, cached_property, partial

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cbook import is_math_text
from matplotlib.collections import LineCollection
from matplotlib.text import Text
from scipy import stats

from helpers.hand_made import simulated
from partialpool import plots
from partialpool.plots import files, parameterization
from partialpool.plots.theme import fonts, text
from partialpool.studies.parameterizations import compare_forms
from partialpool.tables import contrasts, shrinkage

HARD = [
    'São Paulo, "A" <b>&$x$',
    "two\nlines",
    "\U0001f3eb school 😀",
    "x" * 200,
    "back\\$slash {x_1} ^2 %",
    "../../etc",
    "001",
    "a long label with many words that goes on and on until it has to be broken",
]
CENTERED, PARTIAL = "hierarchical_centered", "hierarchical_noncentered"


class Frames:
    """Frames of a data set, as the report would make them."""

    def __init__(self, data, fitted):
        self.data = data
        self.fit = partial(fitted, data, draws=60)
        self.fits = self.fit(["no_pooling", PARTIAL])
        self.estimates = shrinkage.estimates(self.fits, data)
        self.axes = {"axis_title": data.axis_title, "group_title": data.group_label}
        self.order = list(
            self.rows("theta").sort_values("mean", ascending=False, kind="stable")["group"]
        )

    @cached_property
    def forms(self):
        return compare_forms(self.fit([CENTERED, PARTIAL]), self.data)

    def rows(self, *parameters, model=PARTIAL):
        kept = self.estimates[self.estimates["model"] == model]
        return kept[kept["parameter"].isin(parameters)]

    def draws(self, *parameters):
        posterior = self.fits[1].posterior
        return pd.concat(
            [
                posterior[p].to_dataframe(name="value").reset_index().assign(parameter=p)
                for p in parameters
            ],
            ignore_index=True,
        )


def data_by_group(f):
    labels = np.array(f.data.labels, dtype=object)[f.data.group]
    frame = pd.DataFrame({"group": labels, "value": f.data.y})
    return plots.data_by_group(frame, **f.axes)


def draws_by_group(f):
    theta = f.fits[0].posterior["theta"].to_dataframe(name="value").reset_index()
    return plots.draws_by_group(theta, **f.axes)


def caterpillar(f):
    return plots.caterpillar(f.rows("theta", "mu"), reference=1.0, reference_label="$1", **f.axes)


def pooling_scatter(f):
    return plots.pooling_scatter(f.estimates, models={PARTIAL: "partial <$>"}, **f.axes)


def shrinkage_arrows(f):
    table = shrinkage.shrinkage(f.fits[1:], f.data)
    return plots.shrinkage_arrows(table, center=50.0, **f.axes)


def contrast_matrix(f):
    table = contrasts.contrasts(f.fits, f.data)
    return plots.contrast_matrix(table, order=f.order)


def rank_heat_map(f):
    table = contrasts.ranks(f.fits, f.data)
    return plots.rank_heat_map(table, order=f.order, group_title=f.data.group_label)


def trace_and_density(f):
    return plots.trace_and_density(f.draws("mu", "tau"), labels={"mu": HARD[0]}, lower={"tau": 0})


def traces(f):
    return plots.traces(f.draws("mu", "tau", "sigma"), labels={"mu": HARD[7], "tau": HARD[1]})


def rank_plot(f):
    return plots.rank_plot(f.draws("mu", "tau", "sigma"), labels={"mu": HARD[7]})


def prior_and_posterior(f):
    curves = [
        plots.density(f.fits[1].posterior[p].to_numpy()).assign(parameter=p)
        for p in ("mu", "tau", "sigma")
    ]
    prior = curves[0].assign(density=0.1)
    return plots.prior_and_posterior(pd.concat(curves), prior, labels={"mu": HARD[0]})


def check_statistics(f):
    rows = f.rows("theta").assign(observed=f.data.stats.mean)
    frames = [rows.assign(statistic=name) for name in ("Sample sd", "Minimum", "Maximum")]
    return plots.check_statistics(pd.concat(frames), **f.axes)


def check_density(f):
    y = f.data.y
    copies = pd.DataFrame({"replicate": np.repeat([1, 2], len(y)), "value": np.tile(y, 2)})
    return plots.check_density(pd.DataFrame({"value": y}), copies, axis_title=f.data.axis_title)


def funnel(f):
    titles = {CENTERED: "centered ($)", PARTIAL: "non-centered <b>"}
    return parameterization.funnel(f.forms.funnel, models=titles, **f.axes)


def effective_draws(f):
    return parameterization.effective_draws(f.forms.table, models={CENTERED: "a $", PARTIAL: "b"})


def loo_k(f):
    k = pd.DataFrame({"observation": np.arange(1, 61), "k": np.linspace(-0.2, 0.9, 60)})
    return plots.loo_k(k, threshold=0.7)


BY_GROUP = [
    data_by_group,
    draws_by_group,
    caterpillar,
    pooling_scatter,
    shrinkage_arrows,
    contrast_matrix,
    rank_heat_map,
    check_statistics,
]
OTHERS = [
    trace_and_density,
    traces,
    rank_plot,
    prior_and_posterior,
    check_density,
    funnel,
    effective_draws,
    loo_k,
]


@pytest.fixture(scope="session")
def hard(fitted):
    return Frames(simulated([9, 14, 5, 30, 7, 8, 20, 3], HARD), fitted)


@pytest.fixture(scope="session")
def few(fitted):
    frames = Frames(simulated([5, 9, 30], ["001", "1", "NA"]), fitted)
    frames.axes["group_title"] = "Administrative unit of the second level"
    return frames


@pytest.fixture(scope="session")
def many(fitted):
    sizes = np.random.default_rng(4).integers(2, 12, 44)
    return Frames(simulated(list(sizes), [f"Site {j:03d}" for j in range(44)]), fitted)


def artists(figure):
    """Make what a figure consists of, without a place on the page."""
    made = figure.draw()
    pyplot.close(made)
    return made


def drawn(figure):
    """Draw a figure for real, at a low resolution."""
    made = artists(figure)
    FigureCanvasAgg(made).draw()
    return made


@pytest.fixture(scope="session")
def drawn_hard(hard):
    """Draw the figure of the hard labels that a function makes, once for all tests."""
    return cache(lambda make: drawn(make(hard)))


def words(figure):
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip()]


def row_labels(figure):
    return [t for t in figure.axes[0].get_yticklabels() if t.get_text()]


def shown(label):
    """What matplotlib puts on the page for a text that is no mathematics."""
    assert not is_math_text(label.get_text())
    return label.get_text().replace(r"\$", "$")


def overlapping(texts):
    boxes = sorted((t.get_window_extent() for t in texts), key=lambda box: box.y0)
    pairs = itertools.pairwise(boxes)
    return [(a, b) for a, b in pairs if b.y0 < a.y1 - 1 and min(a.x1, b.x1) > max(a.x0, b.x0)]


def assert_clear_margins(figure):
    """Nothing may touch the edge of the page, let alone be cut by it."""
    page = np.asarray(figure.canvas.buffer_rgba())[..., :3]
    for edge in (page[0], page[-1], page[:, 0], page[:, -1]):
        assert (edge == 255).all()


@pytest.mark.parametrize("make", BY_GROUP + OTHERS, ids=lambda make: make.__name__)
def test_hard_labels_stay_on_the_page_and_off_each_other(make, drawn_hard):
    figure = drawn_hard(make)
    assert min(figure.get_size_inches()) * files.DPI > 300
    assert_clear_margins(figure)
    for axes in figure.axes:
        assert not overlapping([t for t in axes.get_yticklabels() if t.get_text()])


@pytest.mark.parametrize("make", [shrinkage_arrows, contrast_matrix, caterpillar])
def test_few_groups_with_a_long_name_for_a_group_fit_the_page(make, few):
    assert_clear_margins(drawn(make(few)))


@pytest.mark.parametrize("make", [caterpillar, pooling_scatter, shrinkage_arrows, rank_heat_map])
def test_many_groups_are_shown_by_their_extremes_or_as_a_whole(make, many):
    figure = drawn(make(many))
    width, height = figure.get_size_inches()
    assert height < 2.5 * width
    labels = [t.get_text() for t in row_labels(figure)]
    if make in (pooling_scatter, shrinkage_arrows):
        assert not any("Site" in label for label in labels)
    else:
        assert sum("Site" in label for label in labels) == 24
        assert not overlapping(row_labels(figure))


def test_one_model_of_many_groups_is_shown_by_its_extremes():
    mean = np.arange(60.0)
    frame = pd.DataFrame({"model": "only", "parameter": "theta", "mean": mean})
    frame["group"] = [f"g{k:.0f}" for k in mean]
    axes = artists(plots.pooling_scatter(frame)).axes[0]
    shown = [label.get_text() for label in axes.get_yticklabels()]
    assert (shown[0], shown[-1]) == ("g0", "g59")
    assert any("36 between" in label for label in shown)


@pytest.mark.parametrize("left_out", [0, 20])
def test_groups_left_out_by_the_caller_are_counted(many, left_out):
    kept, dropped = plots.extremes(many.order)
    assert dropped == 20
    theta = many.fits[0].posterior["theta"].sel(group=kept if left_out else many.order)
    figure = plots.draws_by_group(theta.to_dataframe(name="value").reset_index(), left_out=left_out)
    labels = figure.scales.get_scales("x").labels
    assert len(labels) == 25
    assert labels[12] == "⋮ 20 between ⋮"


def test_labels_show_as_given(drawn_hard):
    found = {shown(t).replace("\n", "") for t in row_labels(drawn_hard(caterpillar))}
    for label in (HARD[0], "twolines", HARD[4], HARD[5], HARD[6]):
        assert label in found
    assert HARD[7].replace(" ", "") in {label.replace(" ", "") for label in found}


WORDS, CUT = "word word word word", "… more more more end"


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("plain", "plain"),
        ("$x$ and $y", r"\$x\$ and \$y"),
        ("a\tb", "a b"),
        ("bell\x07", "bell[U+0007]"),
        ("θ² – “é”", "θ² – “é”"),
        ("\U00100000", "[U+100000]"),
        ("one two three four five six seven", "one two three four five six\nseven"),
        ("one\ntwo\nthree\nfour\nfive", "one two three four five"),
        ("one\ntwo", "one\ntwo"),
        (
            "word " * 9 + "\n" + "more " * 9 + "\nend",
            f"{WORDS} word\n{WORDS} more\n… more more more end",
        ),
    ],
)
def test_text_is_made_safe(label, expected):
    assert text(label) == expected


def test_a_very_long_label_keeps_both_ends():
    label = "start" + "m" * 500 + "end"
    lines = text(label).split("\n")
    assert lines[0].startswith("start")
    assert lines[-1].endswith("end")
    assert "…" in text(label)
    assert len(text(label)) < 160


def test_a_character_without_a_glyph_is_named():
    if len(fonts()) > 1:
        pytest.skip("a font for symbols is installed here")
    assert text("\U0001f3eb") == "[school]"


def test_letters_without_a_glyph_are_shortened_and_stay_apart():
    if len(fonts()) > 1:
        pytest.skip("a font for Chinese may be installed here")
    first, second = text("第一学校"), text("第二学校")
    assert first == "[U+7B2C 4E00 … 6821]"
    assert first != second
    assert text("School 学") == "School [U+5B66]"


def test_letters_of_double_width_are_wrapped_by_their_width(monkeypatch):
    monkeypatch.setattr(plots.theme, "_drawable", lambda: frozenset(range(0x20000)))
    lines = text("学" * 40).split("\n")
    assert [len(line) for line in lines] == [14, 14, 12]


def test_a_caterpillar_is_thick_over_half_of_the_mass_and_thin_over_95_percent(hard):
    figure = artists(plots.caterpillar(hard.rows("theta")))
    lines = [c for c in figure.axes[0].collections if isinstance(c, LineCollection)]
    spans = {
        float(c.get_linewidths()[0]): {tuple(np.round(s[:, 0], 9)) for s in c.get_segments()}
        for c in lines
    }
    thin, thick = spans[min(spans)], spans[max(spans)]
    rows = hard.rows("theta").round(9)
    assert thin == set(zip(rows["q2.5"], rows["q97.5"], strict=True))
    assert thick == set(zip(rows["q25"], rows["q75"], strict=True))


def test_rows_come_in_the_order_of_the_data_from_the_top(drawn_hard):
    labels = [shown(t) for t in row_labels(drawn_hard(caterpillar))]
    assert labels[0] == "μ"
    assert labels[-1] == HARD[0]
    assert labels[-3].endswith("school 😀")


def test_the_scatter_shows_both_means_and_the_population_mean(hard, drawn_hard):
    figure = drawn_hard(pooling_scatter)
    axes = figure.axes[0]
    points = np.concatenate(
        [c.get_offsets()[:, 0] for c in axes.collections if len(c.get_offsets())]
    )
    for model in ("no_pooling", PARTIAL):
        for mean in hard.rows("theta", model=model)["mean"]:
            assert np.isclose(points, mean).any()
    mu = hard.rows("mu")["mean"].item()
    dashed = [
        segment[0, 0]
        for c in axes.collections
        if isinstance(c, LineCollection)
        for segment in c.get_segments()
        if segment[0, 0] == segment[1, 0]
    ]
    assert np.isclose(dashed, mu).any()


def test_a_model_has_its_colour_in_every_figure(hard):
    models = {"complete_pooling": "complete", "no_pooling": "none", PARTIAL: "partial"}
    colours = []
    for kept in (["no_pooling", PARTIAL], [PARTIAL]):
        frame = hard.estimates[hard.estimates["model"].isin(kept)]
        axes = artists(plots.pooling_scatter(frame, models=models)).axes[0]
        means = np.sort(hard.rows("theta")["mean"])
        points = next(
            c
            for c in axes.collections
            if np.array_equal(np.sort(c.get_offsets()[:, 0]).round(9), means.round(9))
        )
        colours.append(tuple(points.get_facecolor()[0]))
    assert colours[0] == colours[1]


def test_the_contrast_matrix_never_claims_certainty():
    table = pd.DataFrame(
        {
            "model": "m",
            "group_i": ["a", "a", "b"],
            "group_j": ["b", "c", "c"],
            "p_greater": [1.0, 0.993, 0.75],
        }
    )
    figure = artists(plots.contrast_matrix(table, order=["a", "b", "c"]))
    cells = [t.get_text() for t in words(figure)]
    assert cells.count(">99") == 2
    assert cells.count("75") == 1
    assert not {"25", "<1"} & set(cells)  # each pair once
    assert "100" not in cells


def test_a_density_integrates_to_one_and_respects_bounds():
    rng = np.random.default_rng(1)
    draws = rng.exponential(size=20_000)
    curve = plots.density(draws, lower=0)
    assert np.trapezoid(curve["density"], curve["value"]) == pytest.approx(1, abs=0.01)
    assert curve["value"].min() == 0
    assert curve["density"].iloc[0] > 0.8
    normal = plots.density(rng.normal(5, 2, size=50_000))
    exact = stats.norm.pdf(normal["value"], 5, 2)
    assert np.abs(normal["density"] - exact).max() < 0.01


def test_a_density_ends_where_a_few_draws_would_hide_the_others():
    draws = np.random.default_rng(4).standard_cauchy(8000)
    curve = plots.density(draws)
    low, high = np.quantile(draws, [0.005, 0.995])
    assert [curve["value"].min(), curve["value"].max()] == pytest.approx([low, high])
    half = plots.density(np.abs(draws), lower=0)
    assert half["value"].min() == 0
    assert half["value"].max() == pytest.approx(np.quantile(np.abs(draws), 0.995))
    middle = curve[curve["value"].abs() < 1]
    exact = stats.cauchy.pdf(middle["value"])
    assert np.abs(middle["density"] - exact).max() < 0.04


@pytest.mark.parametrize(
    ("draws", "problem"), [(np.ones(10), "all draws are equal"), ([0, np.nan, 1], "not finite")]
)
def test_draws_without_a_density_are_refused(draws, problem):
    with pytest.raises(ValueError, match=problem):
        plots.density(np.array(draws))


def test_extremes_keep_both_ends():
    assert plots.extremes(["a", "b"]) == (["a", "b"], 0)
    kept, dropped = plots.extremes([str(k) for k in range(100)])
    assert kept == [str(k) for k in (*range(12), *range(88, 100))]
    assert dropped == 76


def test_ranks_of_chains_that_differ_leave_the_band():
    rng = np.random.default_rng(1)
    draws = pd.DataFrame(
        {
            "parameter": "mu",
            "chain": np.repeat([1, 2], 400),
            "draw": np.tile(np.arange(400), 2),
            "value": rng.normal(np.repeat([0, 3], 400)),
        }
    )
    layer = plots.rank_plot(draws).data
    first = layer[(layer["chain"] == 1) & (layer["bin"] == 0)]["count"].item()
    assert first == 40


@pytest.fixture(scope="session")
def saved(few, tmp_path_factory):
    """One figure saved twice: stems of its files, and the sizes reported."""
    stems = [tmp_path_factory.mktemp(name) / "f" for name in ("one", "two")]
    return stems, [plots.save(rank_heat_map(few), stem, pdf=True) for stem in stems]


def test_files_are_the_same_bytes_every_time(saved):
    (first, second), sizes = saved
    for ending in (".png", ".svg", ".pdf"):
        assert first.with_suffix(ending).read_bytes() == second.with_suffix(ending).read_bytes()
    assert sizes[0] == sizes[1]
    assert sizes[0][0] > 1000


def test_a_colour_bar_stays_on_the_page_of_the_svg_too(saved):
    svg = saved[0][0].with_suffix(".svg").read_text(encoding="utf-8")
    height = float(re.findall(r'viewBox="0 0 \S+ (\S+)"', svg)[0])
    words = re.findall(r"<!-- (Probability|0\.\d+) -->\s*<g[^>]*translate\(\S+ (\S+)\)", svg)
    assert {"Probability", "0.00"} < {word for word, _ in words}
    assert all(0 < float(y) < height for _, y in words)


# Ratios


def _x_labels(figure):
    drawn = figure.draw()
    try:
        return [[t.get_text() for t in axes.get_xticklabels()] for axes in drawn.axes]
    finally:
        pyplot.close(drawn)


def _lines_at(figure, place):
    """Whether a panel has a straight line at a place, along either axis."""
    drawn = figure.draw()
    try:
        return any(
            np.allclose(segment[:, k], place)
            for axes in drawn.axes
            for lines in axes.collections
            for segment in getattr(lines, "get_segments", list)()
            for k in (0, 1)
        )
    finally:
        pyplot.close(drawn)


RATIOS = pd.DataFrame(
    {
        "parameter": ["theta", "theta", "mu"],
        "group": ["A", "B", ""],
        "median": [0.5, 2.0, 1.1],
        "q2.5": [0.1, 1.0, 0.5],
        "q25": [0.3, 1.5, 0.9],
        "q75": [0.8, 2.5, 1.3],
        "q97.5": [1.5, 9.0, 2.4],
    }
)


def _of_ratios():
    forest_rows = pd.DataFrame(
        {
            "row": ["A", "B", "new"],
            "whole": [False, False, True],
            "kind": ["Estimate", "Estimate", "partial"],
            "low": [0.1, 1.0, 0.2],
            "middle": [0.5, 2.0, 1.1],
            "high": [1.5, 9.0, 4.0],
        }
    )
    moves = pd.DataFrame(
        {"group": ["A", "B"], "se": [0.4, 0.2], "raw_mean": [0.4, 3.0], "estimate": [0.7, 2.5]}
    )
    means = pd.DataFrame(
        {
            "model": ["no", "no", "part", "part", "part"],
            "parameter": ["theta"] * 4 + ["mu"],
            "group": ["A", "B", "A", "B", ""],
            "mean": [0.4, 3.0, 0.7, 2.5, 1.2],
        }
    )
    draws = np.exp(np.random.default_rng(1).normal([[-0.7], [0.8]], 0.5, size=(2, 300)))
    long = pd.DataFrame({"group": np.repeat(["A", "B"], 300), "value": draws.ravel()})
    return {
        "caterpillar": plots.caterpillar(RATIOS, ratios=True),
        "forest": plots.forest(forest_rows, ratios=True),
        "arrows": plots.shrinkage_arrows(moves, size="se", ratios=True, center=1.2),
        "scatter": plots.pooling_scatter(means, ratios=True),
        "draws": plots.draws_by_group(long, ratios=True),
    }


@pytest.mark.parametrize("name", ["caterpillar", "forest", "arrows", "scatter", "draws"])
def test_an_axis_of_ratios_is_logarithmic_with_a_line_at_1(name):
    figure = _of_ratios()[name]
    [labels] = _x_labels(figure)
    numbers = np.array([float(label) for label in labels if label])
    assert len(numbers) >= 3
    assert 1 in numbers
    assert (numbers > 0).all()
    assert np.ptp(np.diff(np.log(numbers))) < np.ptp(np.diff(numbers))
    assert _lines_at(figure, 0.0)  # the logarithm of 1


def test_a_row_of_ratios_is_named_as_an_exponential():
    drawn = plots.caterpillar(RATIOS, ratios=True).draw()
    labels = [t.get_text() for t in drawn.axes[0].get_yticklabels()]
    pyplot.close(drawn)
    assert "exp(μ)" in labels


@pytest.mark.parametrize("factor", [1.0, 40.0, 0.01])
def test_effects_by_tau_mark_ratios_above_and_densities_below(factor):
    tau = np.linspace(0, 2, 30)
    effects = pd.concat(
        [
            pd.DataFrame({"tau": tau, "group": g, "mean": factor * np.exp(k * tau / 2)})
            for g, k in (("A", -1), ("B", 1))
        ]
    )
    density = pd.DataFrame({"tau": tau[1:], "density": np.exp(-tau[1:])})
    figure = plots.effects_by_tau(effects, density, axis_title="Odds ratio", ratios=True)
    drawn = figure.draw()
    upper, lower = [
        np.array([float(t.get_text()) for t in axes.get_yticklabels() if t.get_text()])
        for axes in drawn.axes
    ]
    pyplot.close(drawn)
    shown = sorted([1.0, factor])
    assert (upper > 0.2 * shown[0]).all()
    assert (upper < 5 * shown[1]).all()
    assert any(np.isclose(upper, 1)) or factor != 1
    assert lower.min() == 0
    assert 0.5 <= lower.max() <= 1.2
