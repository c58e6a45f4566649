"""One backup run: plan what changes in the bucket, guard it, commit it.

The order of its writes is docs/adr/0002; what may be copied from where is docs/adr/0005.
"""
