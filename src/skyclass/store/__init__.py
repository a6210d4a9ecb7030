"""Where everything lies: objects on S3, the observations table, releases and promotions."""
