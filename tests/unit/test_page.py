"""The page of a run: one file, nothing outside it, nothing unescaped."""

from talkingface.bench import page


def test_a_page_needs_no_other_file(tmp_path):
    (tmp_path / "clip.mp4").write_bytes(b"video")
    (tmp_path / "people.png").write_bytes(b"picture")
    text = page.page(
        "demo",
        "lead",
        [("videos", page.video(tmp_path / "clip.mp4", "one") + page.picture(tmp_path / "people.png", "two"))],
    )
    assert 'src="data:video/mp4;base64,dmlkZW8="' in text
    assert 'src="data:image/png;base64,cGljdHVyZQ=="' in text
    assert "http" not in text
    assert "clip.mp4" not in text


def test_text_is_escaped():
    assert "<script>" not in page.page("<script>", "<script>", [("<script>", page.paragraph("<script>"))])


def test_a_curve_goes_up_where_values_go_up():
    chart = page.curves({"rising": [(0, 1.0), (10, 2.0)]}, "step", "value")
    points = chart.split('points="')[1].split('"')[0].split()
    (left, low), (right, high) = (map(float, point.split(",")) for point in points)
    assert left < right
    assert high < low  # SVG counts downwards


def test_nothing_logged_is_said_instead_of_drawn():
    assert "no loss was logged" in page.curves({"model": []}, "step", "loss")
