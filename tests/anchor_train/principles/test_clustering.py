"""Clusters and medoids of texts that are placed by hand; the real embeddings on principles of real words."""

from __future__ import annotations

import math
from importlib.util import find_spec

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anchor_train.pocket.making.refinement import FAMILIES
from anchor_train.principles.clustering import cluster, counted, distances, medoid, new_principles
from anchor_train.principles.embeddings import embedder, tf_idf
from anchor_train.recipes.files import load_recipe
from judges.errors import ConfigError, MissingExtraError


def at(*degrees: float) -> np.ndarray:
    """Unit vectors at these angles."""
    return np.array([[math.cos(math.radians(d)), math.sin(math.radians(d))] for d in degrees])


def test_cosine_distances_counted_by_hand():
    found = distances(np.array([[2.0, 0.0], [0.0, 1.0], [-3.0, 0.0], [0.0, 0.0], [1.0, 1.0]]))
    half = 1 - math.sqrt(0.5)
    assert found[0].tolist() == pytest.approx([0, 1, 2, 1, half])
    assert found[3].tolist() == pytest.approx([1, 1, 1, 0, 1])
    assert (found == found.T).all()


def test_the_medoid_is_nearest_to_all_others():
    # From 0°: 10° + 30°; from 10°: 10° + 20°; from 30°: 30° + 20°. In 1 - cos, 10° has the least sum.
    between = distances(at(0, 10, 30, 90))
    assert medoid([0, 1, 2], between, [1, 1, 1, 1]) == 1
    assert medoid([3], between, [1, 1, 1, 1]) == 3


def test_of_two_medoids_the_more_frequent_one_counts_then_the_first():
    between = distances(at(0, 10))
    assert medoid([0, 1], between, [1, 2]) == 1
    assert medoid([0, 1], between, [2, 2]) == 0


def test_clusters_are_joined_up_to_the_threshold_of_the_mean_distance():
    counts = {"a": 1, "b": 1, "c": 3, "d": 1}
    between = distances(at(0, 10, 90, 100))
    by_size = cluster(counts, between, 0.1)
    assert [(c.medoid, c.members, c.count) for c in by_size] == [("c", ("c", "d"), 4), ("a", ("a", "b"), 2)]
    # Mean of 1 - cos over the four pairs at 90°, 100°, 80°, 90° is 1: just below it there are two clusters.
    assert len(cluster(counts, between, 0.99)) == 2
    assert len(cluster(counts, between, 1.01)) == 1
    assert len(cluster(counts, between, 0.001)) == 4


def test_a_single_principle_is_a_cluster_of_its_own():
    (only,) = cluster({"a": 5}, distances(at(0)), 0.5)
    assert (only.medoid, only.members, only.count) == ("a", ("a",), 5)


@given(st.lists(st.floats(0, 359), min_size=2, max_size=12), st.floats(0.01, 1.9))
def test_every_principle_is_in_exactly_one_cluster_that_its_medoid_belongs_to(degrees, threshold):
    counts = {f"p{n}": n % 3 + 1 for n in range(len(degrees))}
    found = cluster(counts, distances(at(*degrees)), threshold)
    assert sorted(text for c in found for text in c.members) == sorted(counts)
    assert all(c.medoid in c.members for c in found)
    assert sum(c.count for c in found) == sum(counts.values())
    assert [c.count for c in found] == sorted((c.count for c in found), reverse=True)


def test_repeats_are_counted_and_the_usual_spelling_stands():
    assert counted(["Say why.", "say why", "Say how.", "say  why", "say why"]) == {
        "say why": 4,
        "Say how.": 1,
    }
    assert counted(["One.", "one"]) == {"One.": 2}


def test_new_are_the_principles_far_from_all_earlier_ones():
    places = {"a": 0, "b": 10, "c": 90, "old": 5, "A!": 0}

    def embed(texts):
        return at(*(places[text] for text in texts))

    counts = {"a": 1, "b": 2, "c": 1}
    assert new_principles(counts, [], embed, 0.1) == 3
    assert new_principles(counts, ["old"], embed, 0.1) == 1
    assert new_principles(counts, ["old"], embed, 1e-9) == 3
    assert new_principles({"a": 1}, ["A!"], embed, 1e-9) == 0


def test_tf_idf_puts_rewordings_nearer_than_other_matter():
    texts = [
        "State every step of the calculation.",
        "State each calculation step.",
        "Avoid irrelevant people.",
    ]
    found = distances(tf_idf(texts))
    assert found[0, 1] < found[0, 2]
    assert found[0, 1] < found[1, 2]
    assert embedder(None) is tf_idf


def test_the_recipes_threshold_finds_the_principles_behind_the_pocket_languages_wordings(tmp_path):
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text("{model: m, task: t}", encoding="utf-8")
    threshold = load_recipe(recipe).staple.cluster.threshold
    family = {wording: found.key for found in FAMILIES for wording in found.wordings}
    clusters = cluster(dict.fromkeys(family, 1), distances(tf_idf(list(family))), threshold)
    assert sorted(family[found.medoid] for found in clusters) == sorted(found.key for found in FAMILIES)
    assert all(len({family[member] for member in found.members}) == 1 for found in clusters)


def test_tf_idf_of_texts_without_any_letters():
    assert distances(tf_idf(["!", "?"]))[0, 1] == pytest.approx(1)


@pytest.fixture
def small_bert(tmp_path):
    """Folder of a random BERT that knows single letters; skips where nothing could embed with it."""
    pytest.importorskip("sentence_transformers", reason="an extra: pip install -e '.[principles]'")
    from transformers import BertConfig, BertModel, BertTokenizerFast

    letters = [f"{sign}{letter}" for sign in ("", "##") for letter in "abcdefghijklmnopqrstuvwxyz"]
    vocabulary = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters]
    (tmp_path / "vocab.txt").write_text("\n".join(vocabulary), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=len(vocabulary), **sizes)).save_pretrained(tmp_path)
    return tmp_path


def test_a_sentence_transformers_model_embeds_and_one_that_is_not_there_is_said(small_bert):
    vectors = embedder(str(small_bert))(["state it", "State  it", "be brief"])
    assert vectors.shape == (3, 16)
    assert distances(vectors)[0, 1] == pytest.approx(0, abs=1e-6)
    with pytest.raises(ConfigError, match="embedding '/nowhere/model' can't be loaded"):
        embedder("/nowhere/model")(["a"])


def test_a_model_without_its_package_is_answered_with_the_command_that_installs_it():
    if find_spec("sentence_transformers") is not None:
        pytest.skip("sentence-transformers is installed here")
    with pytest.raises(MissingExtraError, match=r"sentence-transformers is not installed.*\[principles\]"):
        embedder("all-MiniLM-L6-v2")
