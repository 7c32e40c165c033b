"""Windows in batches against mmseg's serial loop."""

from rein_seg.bench.slide import benchmark_slide


def test_both_ways_give_the_same_and_their_ratio():
    figures = benchmark_slide(
        'rein_tiny_camvid', size=(64, 96), crop=64, stride=32, batch_windows=2, repeats=1
    )
    assert figures['max_difference'] < 1e-4
    assert figures['ratio'] == figures['batched_s'] / figures['serial_s']
    assert figures['ratio_range'] == [figures['ratio']] * 2
