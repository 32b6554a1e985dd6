"""The card's hash is equal where the protocol is, and differences are named."""

from talkingface.evaluation.card import card_hash, circumstances, data_hash, differences

CARD = {"size": 256, "clips": ["a", "b"], "metrics": {"psnr": "frame mean"}, "networks": {"lpips": {"sha256": "12"}}}


def test_the_order_of_keys_does_not_matter_and_every_value_does():
    assert card_hash(CARD) == card_hash(dict(reversed(CARD.items())))
    assert len({card_hash(CARD), card_hash(CARD | {"size": 512}), card_hash(CARD | {"clips": ["a"]})}) == 3


def test_equal_cards_do_not_differ():
    assert differences(CARD, dict(CARD)) == []


def test_a_metric_of_one_side_only_is_no_difference_but_another_convention_is():
    assert differences(CARD, CARD | {"metrics": {"psnr": "frame mean", "ssim": "wang"}}) == []
    assert differences(CARD, CARD | {"metrics": {"psnr": "pooled"}}) == ["metrics psnr: frame mean | pooled"]


def test_another_network_is_a_difference():
    (line,) = differences(CARD, CARD | {"networks": {"lpips": {"sha256": "99"}}})
    assert line.startswith("networks lpips")


def test_data_hash_follows_names_and_contents(tmp_path):
    first, second = tmp_path / "1", tmp_path / "2"
    first.write_bytes(b"one")
    (second / "frames").mkdir(parents=True)
    (second / "frames" / "0.png").write_bytes(b"two")
    files = [("a", first), ("b", second / "frames")]
    before = data_hash(files)
    assert before == data_hash(reversed(files))
    assert before != data_hash([("x", first), files[1]])
    (second / "frames" / "0.png").write_bytes(b"three")
    assert before != data_hash(files)


def test_circumstances_name_versions_that_are_there():
    found = circumstances()
    assert found["packages"]["torch"]
    assert set(found) >= {"talkingface", "git", "python", "machine"}
