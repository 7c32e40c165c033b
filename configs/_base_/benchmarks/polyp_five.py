# Polyps: trained on Kvasir and CVC-ClinicDB (1450 images, 145 of them held out to choose the
# checkpoint); targets are three hospitals never seen, CVC-300, CVC-ColonDB, ETIS; both trained
# hospitals are scored, too. Protocol duat352: docs/reference/protocols.md.
benchmark = 'polyp_five'
