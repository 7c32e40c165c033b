import numpy as np
import pytest
import torch

from rein_seg.errors import UserError
from rein_seg.evaluation import DomainIoUMetric, class_table, domain_table
from rein_seg.evaluation.domain_iou import count_areas


def sample(domain, label, pred):
    return dict(
        domain=domain,
        img_path=f'{domain}.png',
        gt_sem_seg=dict(data=torch.tensor([label], dtype=torch.uint8)),
        pred_sem_seg=dict(data=torch.tensor([pred])),
    )


def metric(**options):
    result = DomainIoUMetric(**options)
    result.dataset_meta = dict(classes=('road', 'car', 'sky'))
    return result


# by hand: road 1 of 2 pixels in the union, car 1 of 2, sky absent; 2 of 3 valid pixels right
A = ([[0, 0], [1, 255]], [[0, 1], [1, 1]])
# road 0 of 1, car 0 of 2 (one labelled, one predicted), sky 0 of 1: predicted, never labelled
B = ([[0, 1], [255, 255]], [[1, 2], [0, 0]])


def test_scores_by_hand():
    m = metric(source='clear', protocol='toy')
    m.process(None, [sample('clear', *A), sample('night', *B)])  # one batch, two domains
    m.process(None, [sample('fog', *A)])
    scores = m.evaluate(3)
    assert scores['clear/mIoU'] == pytest.approx(50)
    assert scores['clear/aAcc'] == pytest.approx(100 * 2 / 3)
    assert scores['night/mIoU'] == pytest.approx(0)
    assert scores['mean/mIoU'] == pytest.approx((50 + 0) / 2)  # fog and night, not clear
    assert m.report['targets'] == ['fog', 'night']
    assert m.report['domains']['clear']['IoU'] == {'road': 50.0, 'car': 50.0, 'sky': None}
    assert m.report['domains']['night']['IoU']['sky'] == 0.0


def test_pixels_add_up_over_the_images_of_a_domain():
    m = metric()
    m.process(None, [sample('d', *A), sample('d', *B)])
    m.evaluate(2)
    # road: 1 in common, union 2 + 1; car: 1 in common, union 2 + 2
    expected = {'road': 100 / 3, 'car': 25.0, 'sky': 0.0}
    assert m.report['domains']['d']['IoU'] == pytest.approx(expected)
    assert m.report['domains']['d']['images'] == 2


def test_named_targets_must_all_be_there_or_none():
    m = metric(source='clear', targets=['night', 'fog'])
    m.process(None, [sample('clear', *A)])
    assert 'mean/mIoU' not in m.evaluate(1)
    m.process(None, [sample('clear', *A), sample('fog', *A)])
    with pytest.raises(UserError, match='averages over .*: test all of them'):
        m.evaluate(2)


def test_counts_are_integers_and_ignore():
    counts = count_areas(np.array([0, 1, 2, 2]), np.array([0, 2, 2, 255], np.uint8), 3)
    assert counts.dtype.kind == 'i'
    assert counts.tolist() == [[1, 0, 1], [1, 1, 1], [1, 0, 2]]


def test_sample_without_domain_or_of_another_size():
    m = metric()
    bare = sample('d', *A)
    del bare['domain']
    with pytest.raises(UserError, match='carries no domain'):
        m.process(None, [bare])
    with pytest.raises(UserError, match='the prediction is .1, 2., its label .2, 2.'):
        m.process(None, [sample('d', A[0], [[0, 1]])])


def test_domain_without_a_labelled_pixel_has_no_score():
    m = metric()
    m.process(None, [sample('d', [[255]], [[0]])])
    assert m.evaluate(1) == {}
    assert m.report['domains']['d']['mIoU'] is None
    assert domain_table(m.report)


def test_predictions_are_written_by_domain(tmp_path):
    import cv2

    m = metric(output_dir=str(tmp_path))
    m.process(None, [sample('night', *A)])
    written = cv2.imread(str(tmp_path / 'night/night.png'), cv2.IMREAD_UNCHANGED)
    np.testing.assert_array_equal(written, A[1])


def test_predictions_never_overwrite_one_another(tmp_path):
    m = metric(output_dir=str(tmp_path))
    images = [f'data/{name}.png' for name in ('a/x/1', 'b/x/1', 'c/1', 'x_1', 'a/x_1')]
    for image in [*images, images[0]]:  # the first again, as in a second pass
        m.process(None, [{**sample('night', *A), 'img_path': image}])
    names = sorted(path.stem for path in (tmp_path / 'night').iterdir())
    assert names == ['1', 'a_x_1', 'c_1', 'data_x_1', 'x_1']
    with pytest.raises(UserError, match='would both be written'):
        for image in ('1.png', '1.jpg'):
            m.process(None, [{**sample('day', *A), 'img_path': image}])


def test_two_processes_that_wrote_one_file_end_the_test(tmp_path, monkeypatch):
    m = metric(output_dir=str(tmp_path))
    m.process(None, [{**sample('night', *A), 'img_path': 'a/1.png'}])
    other = {str(tmp_path / 'night/1.png'): 'b/1.png'}
    monkeypatch.setattr('mmengine.dist.all_gather_object', lambda mine: [mine, other])
    with pytest.raises(UserError, match=r"two processes wrote the predictions of 'a/1.png' and"):
        m.evaluate(1)


def test_tables():
    m = metric(source='clear', protocol='toy')
    m.process(None, [sample('night', *B), sample('clear', *A)])
    m.evaluate(2)
    lines = domain_table(m.report).splitlines()
    assert lines[0] == 'protocol toy, scores in %'
    assert [line.split() for line in lines[3:]][0] == ['clear', 'source', '1', '50.00', '66.67']
    assert lines[-1].split() == ['mean', 'targets', '1', '0.00', '0.00']
    assert class_table(m.report).splitlines()[-1].split() == ['sky', '-', '0.00']
