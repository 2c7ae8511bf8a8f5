"""The growing cache against transformers' own: the same keys, values and texts."""

import copy

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from transformers import AutoModelForCausalLM, DynamicCache, GenerationConfig  # noqa: E402

from judges.backends.transformers.growing_cache import STEP, grow_in_place, new_cache  # noqa: E402


@pytest.fixture(scope="module")
def model(tiny_model):
    return AutoModelForCausalLM.from_pretrained(tiny_model).eval()


def written(model, cache, prompt, tokens):
    """A greedy continuation of exactly so many tokens, each token seen by the model as it comes."""
    config = GenerationConfig(max_new_tokens=tokens, min_new_tokens=tokens, do_sample=False, pad_token_id=0)
    return model.generate(prompt, generation_config=config, past_key_values=cache).tolist()


def test_texts_are_the_same_far_beyond_one_step(model):
    prompt = torch.arange(10, 40).reshape(3, 10)
    growing = new_cache(model.config)
    grow_in_place(growing)
    tokens = 3 * STEP
    plain = DynamicCache(config=model.config)
    assert written(model, growing, prompt, tokens) == written(model, plain, prompt, tokens)
    for ours, theirs in zip(growing.layers, plain.layers, strict=True):
        torch.testing.assert_close(ours.keys, theirs.keys)
        torch.testing.assert_close(ours.values, theirs.values)


def test_a_token_is_written_into_the_room_that_is_there(model):
    growing = new_cache(model.config)
    grow_in_place(growing)
    layer = growing.layers[0]
    places = []
    for _ in range(STEP + 2):
        new = torch.randn(2, 4, 1, 8)
        keys, values = layer.update(new, new)
        assert torch.equal(keys[:, :, -1:], new)
        assert torch.equal(values[:, :, -1:], new)
        places.append(keys.data_ptr())
    assert len(set(places)) == 2  # copied once, when the first room was full
    assert layer.get_seq_length() == STEP + 2


def test_what_was_read_before_is_kept(model):
    cache = new_cache(model.config)
    prompt = torch.arange(10, 20).reshape(1, 10)
    written(model, cache, prompt, 1)
    cache.batch_select_indices(torch.tensor([0, 0, 0]))
    before = cache.layers[0].keys.clone()
    grow_in_place(cache)
    new = torch.randn(3, before.shape[1], 1, before.shape[3])
    keys, _ = cache.layers[0].update(new, new)
    assert torch.equal(keys, torch.cat([before, new], dim=2))


def test_a_model_that_keeps_more_of_its_past_is_left_alone(model):
    config = copy.deepcopy(model.config)
    config.layer_types = ["linear_attention"] * config.num_hidden_layers
    assert new_cache(config) is None
