# Five times the iterations of compare_camvid_to_kitti.py, at the same rates: does the order change?
#   python tools/compare.py configs/compare_camvid_to_kitti_long.py --jobs 2 --cfg-options data_root=DIR
_base_ = ['./compare_camvid_to_kitti.py']
max_iters = 600
rates, ways = {{_base_.rates}}, {{_base_.ways}}
comparison = dict(_delete_=True, seeds=[0, 1], peft=[
    dict(ways[n], name=n, options={**ways[n].get('options', {}), {{_base_.lr}}: rates[n]})
    for n in ('Frozen', 'Full', 'LoRA', 'Rein')])
