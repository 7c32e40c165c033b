# Few-shot classification of drawn vehicles: 4 methods x 1, 4, 16 images of each subtype x 3 seeds, which
# also draw the images. About 1 minute a run on one core.
#   python tools/compare.py configs/compare_few_shot_minivehicles.py
_base_ = ['./coop_tinyclip_minivehicles.py']
words, head, shots = 'model.text', 'model.head', 'train_dataloader.dataset.shots'
names = dict(_delete_=True, type='ClassTable', templates='plain')
both = dict(_delete_=True, type='CoOp', fixed_template='a photo of a {}')
cavpt, linear = (dict(_delete_=True, type=name) for name in ('CAVPTHead', 'LinearImageHead'))
methods = [
    dict(type='CAVPT', name='CAVPT', options={words: both, head: cavpt}),
    dict(type='Frozen', name='CoOp', options={}),
    dict(type='VPT', name='VPT', num_tokens=10, options={words: names}),
    dict(type='Frozen', name='Linear', options={words: None, head: linear})]
comparison = dict(
    peft=[
        {**method, 'name': f"{method['name']}-{k}", 'options': {**method['options'], shots: k}}
        for k in (1, 4, 16) for method in methods],
    seeds=[0, 1, 2])
