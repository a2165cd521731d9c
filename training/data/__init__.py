"""Click logs: one file per data set, each giving a ClickLog; prepare encodes it; batches read what prepare wrote."""
