"""The model registry: immutable, content-addressed releases.

A release is the prefix `releases/<mode>/<id>/` of the models bucket. Its id is the SHA-256 of its
manifest, which lists the SHA-256 of every other file, so the id authenticates all bytes. Writing a
release is idempotent and needs neither a lock nor a conditional write.
"""
