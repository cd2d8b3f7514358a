"""Images in any number, by many processes on one machine or on a cluster, into shards of rows."""
