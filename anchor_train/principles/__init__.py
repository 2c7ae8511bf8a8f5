"""Latent principles (STaPLe, arXiv 2505.16927): what makes a reply better, named by the model and learnt.

One round: ``discover`` (E-step) finds principles by which the model improves on its own replies, ``cluster``
puts those that say the same together into a constitution, ``train`` (M-step) teaches the model to name a
principle and to reply again by it.
"""
