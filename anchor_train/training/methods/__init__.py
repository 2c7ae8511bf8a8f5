"""The trainings: SFT, DPO, RFT, and the list-wise ones with their losses.

In: Tokenised examples.
Out: A trainer.
Not imported here: each other, but for the losses and batches they share.
"""
