"""Row validation, expectations of whole tables, and the ingest job."""
