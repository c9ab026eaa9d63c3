"""The data plane between doors and hosts: one socket a pair, frames of commands, replies in any order.

Reading order: ``frames`` (what is on the wire), ``handshake`` (who may speak), ``server`` (a host's end), ``client``
(a door's end).
"""
