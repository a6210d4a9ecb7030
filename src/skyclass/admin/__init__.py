"""Administration of the object store: identities, provisioning, and the first releases."""
