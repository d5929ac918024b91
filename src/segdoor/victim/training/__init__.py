"""How a network is trained, innocently.

Three files tell it: `loop` the training from its first step to its last, `step` what is done in
each, `batches` what each is done on. All others are what these stand on.
"""
