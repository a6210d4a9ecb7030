"""What makes one machine enough: an embedded S3 server, and the demo."""
