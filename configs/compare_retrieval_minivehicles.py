# Retrieval of drawn vehicles of unseen colours and subtypes on TinyViT: 4 methods and FRPT's head alone x 3
# seeds, Recall@1, 2, 4, 8. About 2 minutes a run on one core.
#   python tools/compare.py configs/compare_retrieval_minivehicles.py
_base_ = ['./frozen_tinyvit_minivehicles_retrieval.py']
aware = {'model.head': dict(_delete_=True, type='RetrievalHead')}
comparison = dict(
    peft=[
        dict(type='FRPT', form='repository', zero_init=True, options=aware),
        dict(type='Frozen', name='Awareness', options=aware),
        'Frozen', dict(type='Full', options={'optim_wrapper.optimizer.lr': 1e-3}), 'LoRA'],
    seeds=[0, 1, 2])
