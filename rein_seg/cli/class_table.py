"""Writes the class embeddings of a config as a file.

Reads the names of the classes with the text tower that the config names. Set
model.text.file to the file: the run then needs no text tower.
"""

import argparse

from rein_seg.cli.arguments import add_config, add_options

EXAMPLES = """example:
  rein-seg class-table zegclip_clip_base_voc voc20.safetensors \\
      --cfg-options model.text.templates=imagenet"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of the command."""
    add_config(parser)
    parser.add_argument('target', help='file to write: .safetensors')
    add_options(parser)


def main(args: argparse.Namespace) -> None:
    """Writes the table."""
    from rein_seg.apis import load_config
    from rein_seg.export.class_table import write_class_table

    cfg = load_config(args.config, cfg_options=args.cfg_options)
    print(write_class_table(cfg, args.target))
    print(f'wrote {args.target}')
