"""Prometheus' text format."""

import re

from core.serving.api_metrics import ApiMetrics

LINE = re.compile(r'[a-z_]+(\{[a-z]+="([^"\\\n]|\\["\\n])*"(,[a-z]+="[^"]*")*\})? [0-9.e+]+')


def test_every_line_is_of_the_format() -> None:
    metrics = ApiMetrics()
    metrics.count("/predict", 200)
    metrics.predicted(0.3, 0.2)
    text = metrics.text([('a "quoted"\nname\\', 3)])
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line.startswith(("# HELP ", "# TYPE ")) or LINE.fullmatch(line), line
    assert 'maskloop_waiting{model="a \\"quoted\\"\\nname\\\\"} 3' in text
    assert float(text.rstrip().rpartition(" ")[2]) > 1_000_000


def test_buckets_hold_what_is_at_or_below_them() -> None:
    metrics = ApiMetrics()
    for seconds in (0.01, 0.025, 0.026, 1000):
        metrics.predicted(seconds, 0)
    lines = metrics.text([]).splitlines()
    buckets = {line.split()[0]: int(line.split()[1]) for line in lines if line.startswith("maskloop_predict_seconds_b")}
    assert buckets['maskloop_predict_seconds_bucket{le="0.025"}'] == 2
    assert buckets['maskloop_predict_seconds_bucket{le="0.05"}'] == 3
    assert buckets['maskloop_predict_seconds_bucket{le="300.0"}'] == 3
    assert buckets['maskloop_predict_seconds_bucket{le="+Inf"}'] == 4
    assert "maskloop_predict_seconds_count 4" in lines


def test_requests_are_counted_by_path_and_status() -> None:
    metrics = ApiMetrics()
    for path, status in (("/predict", 200), ("/predict", 429), ("/predict", 200), ("/models", 200)):
        metrics.count(path, status)
    text = metrics.text([])
    assert 'maskloop_requests_total{path="/predict",status="200"} 2' in text
    assert 'maskloop_requests_total{path="/models",status="200"} 1' in text
