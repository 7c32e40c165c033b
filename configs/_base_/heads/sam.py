# SAM's mask decoder without prompts, trained but for its IoU head (Conv-LoRA, ICLR 2024). Its
# weights come from the encoder's file.
decode_head = dict(type='SAMHead')
