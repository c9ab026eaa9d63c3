"""The processes of the cluster, of whatever release: who runs, and which version all of them may write.

Reading order: ``ports`` (what is asked of the store), ``membership`` (a process' part in it).
"""
