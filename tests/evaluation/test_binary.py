import json
import pickle

import cv2
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator

from rein_seg.config.checks import check_evaluator
from rein_seg.errors import UserError
from rein_seg.evaluation import BinarySegMetric, class_table, domain_table, find_domain_metric
from rein_seg.run.overview import domain_title
from rein_seg.run.results import find_report


def sample(domain, label, scores, **more):
    scores = torch.tensor([scores], dtype=torch.float32)
    return dict(
        domain=domain,
        img_path=f'{domain}.png',
        gt_sem_seg=dict(data=torch.tensor([label], dtype=torch.uint8)),
        pred_sem_seg=dict(data=(scores > 0.5).long()),
        pred_scores=dict(data=scores),
        **more,
    )


def metric(**options):
    result = BinarySegMetric(**options)
    result.dataset_meta = dict(classes=('background', 'polyp'))
    return result


# foreground: 1 in common, 2 predicted, 2 labelled; one pixel is ignored
A = ([[1, 1, 0, 0, 255]], [[0.9, 0.1, 0.8, 0.0, 1.0]])
# foreground: 1 in common, 1 predicted, 1 labelled
B = ([[1, 0, 0, 0, 0]], [[1.0, 0.0, 0.0, 0.0, 0.0]])


def test_scores_by_hand():
    m = metric(metrics=['MAE', 'BER', 'IoU', 'Dice'], source='train', protocol='toy')
    m.process(None, [sample('kvasir', *A), sample('cvc', *B)])  # one batch, two domains
    m.process(None, [sample('kvasir', *B), sample('train', *A)])
    flat = m.evaluate(4)
    a, b = m.report['domains']['train'], m.report['domains']['cvc']
    assert a['MAE'] == pytest.approx((0 + 8 / 9 + 8 / 9 + 0) / 4)  # stretched from 0..0.9
    assert a['BER'] == pytest.approx(50)
    assert (a['IoU_image'], a['Dice_image']) == pytest.approx((100 / 3, 50))
    assert a['aAcc'] == pytest.approx(50)
    assert a['IoU'] == pytest.approx({'background': 100 / 3, 'polyp': 100 / 3})
    assert [b[key] for key in ('MAE', 'BER', 'IoU_image', 'IoU_set')] == [0, 0, 100, 100]
    both = m.report['domains']['kvasir']
    assert both['images'] == 2
    assert both['IoU_image'] == pytest.approx((100 / 3 + 100) / 2)
    assert both['IoU_set'] == pytest.approx(100 * 2 / 4)  # 1 + 1 of 3 + 1
    assert both['Dice_set'] == pytest.approx(100 * 2 * 2 / 6)
    assert both['IoU']['polyp'] == both['IoU_set']
    assert flat['mean/IoU_image'] == pytest.approx((both['IoU_image'] + 100) / 2)
    assert flat['kvasir/Dice_set'] == both['Dice_set']
    assert m.report['targets'] == ['cvc', 'kvasir']


def test_all_scores_have_a_key_that_save_best_can_name():
    m = metric()
    m.process(None, [sample('kvasir', *A)])
    names = 'S E E_max E_adaptive wF MAE BER IoU_image IoU_set Dice_image Dice_set '
    names += 'Dice_curve Dice_max IoU_curve IoU_max mIoU aAcc'
    assert list(m.evaluate(1)) == [f'{d}/{n}' for d in ('kvasir', 'mean') for n in names.split()]
    json.dumps(m.report, allow_nan=False)


def test_perfect_maps_score_100():
    label = np.zeros((20, 30), int)
    label[5:12, 8:20] = 1
    m = metric()
    m.process(None, [sample('d', label.tolist(), label.tolist())])
    scores = m.evaluate(1)
    pixels = label.size / (label.size - 1)  # the E-measure divides by one pixel less
    assert scores['d/S'] == pytest.approx(100)
    assert scores['d/E_max'] == scores['d/E_adaptive'] == pytest.approx(100 * pixels)
    assert scores['d/E'] == pytest.approx(100 * pixels * (255 + 0.25) / 256)
    assert [scores[f'd/{n}'] for n in ('wF', 'MAE', 'BER')] == pytest.approx([100, 0, 0])


def test_largest_e_measure_is_that_of_the_mean_curve():
    # each is best at another threshold: one map is high, one is low
    gt = [[1, 1, 0, 0, 0, 0]]
    maps = ([[1, 1, 0.9, 0.9, 0.9, 0]], [[0.2, 0.2, 0.1, 0.1, 0, 1]])
    separate, together = metric(metrics=['E']), metric(metrics=['E'])
    for i, scores in enumerate(maps):
        separate.process(None, [sample(str(i), gt, scores)])
        together.process(None, [sample('d', gt, scores)])
    one, both = separate.evaluate(2), together.evaluate(2)
    assert both['d/E'] == pytest.approx(one['mean/E'])
    assert both['d/E_max'] < one['mean/E_max'] - 1


def test_dice_over_all_levels_by_hand():
    # grey values 0, 51, 204, 255; labelled: the last and the first
    m = metric(metrics=['Dice_curve', 'IoU_curve'])
    m.process(None, [sample('d', [[1, 0, 0, 1, 255]], [[0.0, 0.2, 0.8, 1.0, 0.5]])])
    m.process(None, [sample('d', [[0, 0, 0, 0]], [[0.0, 0.0, 1.0, 1.0]])])  # 0 at each level
    scores = m.evaluate(2)
    # levels 0; 1 to 51; 52 to 204; 205 to 255
    dice = (2 * 2 / 6 + 51 * 2 / 5 + 153 * 2 / 4 + 51 * 2 / 3) / 256
    iou = (2 / 4 + 51 / 4 + 153 / 3 + 51 / 2) / 256
    assert scores['d/Dice_curve'] == pytest.approx(100 * dice / 2)
    assert scores['d/IoU_curve'] == pytest.approx(100 * iou / 2)
    assert scores['d/Dice_max'] == pytest.approx(100 * 2 / 3 / 2)
    assert scores['d/IoU_max'] == pytest.approx(100 / 2 / 2)


def test_largest_dice_is_of_the_mean_curve():
    gt = [[1, 1, 0, 0]]
    m = metric(metrics=['Dice_curve'])
    m.process(None, [sample('d', gt, [[1, 0.9, 0.2, 0]]), sample('d', gt, [[1, 0.3, 0.25, 0]])])
    together = m.evaluate(2)['d/Dice_max']
    assert together == pytest.approx(100 * (1 + 1) / 2)  # both at grey values 64 to 76
    m.process(None, [sample('d', gt, [[1, 0.9, 0.8, 0]]), sample('d', gt, [[1, 0.3, 0.25, 0]])])
    assert m.evaluate(2)['d/Dice_max'] == pytest.approx(100 * (0.8 + 1) / 2)


def test_weight_of_recall_and_threshold_are_settings():
    scores = {}
    for options in (dict(), dict(beta2=1.0), dict(threshold=0.85)):
        m = metric(metrics=['wF', 'IoU'], **options)
        m.process(None, [sample('d', *A)])
        scores[str(options)] = m.evaluate(1)
    default, beta, high = scores.values()
    assert default['d/wF'] != beta['d/wF']
    assert high['d/wF'] == default['d/wF']
    assert high['d/IoU_image'] == pytest.approx(50)  # the false alarm of 0.8 is gone


def test_empty_full_and_unlabelled_images():
    m = metric()
    m.process(None, [sample('empty', [[0, 0]], [[0.0, 0.1]]), sample('full', [[1, 1]], [[1, 0.9]])])
    m.process(None, [sample('mixed', [[255, 255]], [[1.0, 0.5]]), sample('mixed', *B)])
    m.process(None, [sample('void', [[255, 255]], [[1.0, 0.5]])])
    m.evaluate(5)
    domains = m.report['domains']
    assert domains['empty']['IoU_image'] == domains['empty']['Dice_set'] == 100
    assert domains['empty']['BER'] == domains['full']['BER'] == 0
    assert domains['full']['IoU']['background'] is None
    assert domains['mixed']['images'] == 2
    assert domains['mixed']['IoU_image'] == 100
    assert all(domains['void'][key] is None for key in m.columns)
    assert m.report['mean_over_targets']['S'] is None  # a domain has none
    assert domain_table(m.report)
    json.dumps(m.report, allow_nan=False)


def test_what_an_image_leaves_is_small():
    m = metric()
    m.process(None, [sample('d', np.eye(300, dtype=int).tolist(), np.eye(300).tolist())])
    assert len(pickle.dumps(m.results[0])) < 4096


def test_half_precision_scores():
    m = metric(metrics=['MAE'])
    one = sample('d', *B)
    one['pred_scores']['data'] = one['pred_scores']['data'].bfloat16()
    m.process(None, [one])
    assert m.evaluate(1)['d/MAE'] == 0


def test_bad_input_is_said():
    with pytest.raises(UserError, match="'Smeasure' is unknown; choose from .'S', 'E'"):
        metric(metrics=['Smeasure'])
    bare = sample('d', *A)
    del bare['pred_scores']
    with pytest.raises(UserError, match=r'model\.test_cfg\.keep_scores=True'):
        metric().process(None, [bare])
    with pytest.raises(UserError, match='the pred_scores is .1, 2., its label .1, 5.'):
        metric().process(None, [sample('d', A[0], [[0.1, 0.2]])])
    for wrong in (1.5, -0.1, float('nan')):
        with pytest.raises(UserError, match=r'expected probabilities 0\.\.1'):
            metric().process(None, [sample('d', B[0], [[wrong, 0, 0, 0, 0]])])
    three = metric()
    three.dataset_meta = dict(classes=('a', 'b', 'c'))
    with pytest.raises(UserError, match='is for two classes'):
        three.process(None, [sample('d', *A)])


def test_tables():
    m = metric(source='train', protocol='square1024', metrics=['BER', 'MAE'])
    m.process(None, [sample('sbu', *A), sample('train', *B)])
    m.evaluate(2)
    lines = domain_table(m.report).splitlines()
    assert lines[0] == 'protocol square1024, scores in %, MAE in 0..1'
    assert lines[1].split() == ['domain', 'role', 'images', 'BER', 'MAE', 'mIoU', 'aAcc']
    assert lines[4].split() == ['sbu', 'target', '1', '50.00', '0.4444', '33.33', '50.00']
    assert lines[-1].split() == ['mean', 'targets', '1', '50.00', '0.4444', '33.33', '50.00']
    assert class_table(m.report).splitlines()[-1].split() == ['polyp', '100.00', '33.33']


def test_overview_titles_name_the_main_score():
    for metrics, title in ((['S'], 'd   S 100.00 %'), (['MAE'], 'd   MAE 0.0000')):
        m = metric(metrics=metrics)
        m.process(None, [sample('d', *B)])
        m.evaluate(1)
        assert domain_title('d', m.report) == title
        assert domain_title('elsewhere', m.report) == 'elsewhere'
    assert domain_title('d', {}) == 'd'


def test_predictions_are_written_by_domain(tmp_path):
    m = metric(output_dir=str(tmp_path), metrics=[])
    m.process(None, [sample('sbu', *A)])
    written = cv2.imread(str(tmp_path / 'sbu/sbu.png'), cv2.IMREAD_UNCHANGED)
    assert written.tolist() == [[1, 0, 1, 0, 1]]


def test_the_apis_find_the_metric():
    cfg = dict(type='BinarySegMetric', targets=['sbu'])
    assert find_domain_metric([dict(type='IoUMetric'), cfg]) is cfg
    assert find_domain_metric([dict(type='IoUMetric')]) is None
    evaluator = Evaluator([dict(type='IoUMetric'), cfg])
    evaluator.metrics[1].report = {'protocol': 'toy'}
    assert find_report(evaluator) == {'protocol': 'toy'}
    with pytest.raises(UserError, match='neither DomainIoUMetric nor BinarySegMetric'):
        check_evaluator([], dict(type='IoUMetric'), {})
    cfg = dict(type='BinarySegMetric')
    check_evaluator([], cfg, dict(keep_scores=True))
    check_evaluator([], dict(type='DomainIoUMetric'), {})
    with pytest.raises(UserError, match=r'model\.test_cfg\.keep_scores=True'):
        check_evaluator([], cfg, dict(mode='whole'))
